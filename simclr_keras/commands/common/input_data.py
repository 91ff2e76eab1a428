"""Opens the images that the flags name; makes batches for pre-training."""

import dataclasses
from typing import Any

import simclr_keras as sk
from simclr_keras import choices


def open_source(settings, split, dataset=None):
    """Opens a split of `--dataset`, or of another data set."""
    return sk.data.open_source(
        dataset or settings.dataset,
        split,
        data_dir=settings.data_dir,
        download=settings.download,
        skip_corrupt=settings.skip_corrupt,
        split_order=settings.split_order,
        folder_layout=settings.folder_layout,
        pixel_range=settings.pixel_range,
        channels=settings.channels,
        max_pixels=settings.max_pixels,
        feature_image=settings.feature_image,
        feature_label=settings.feature_label,
    )


def cached(settings, source, epochs):
    """The source with decoded images cached as `--cache` says.

    Args:
        settings: the command's.
        source: `data.Source`.
        epochs: passes over its images, perhaps a fraction; `--cache=auto`
            caches for more than one only.
    """
    return sk.data.cached(
        source,
        settings.cache,
        directory=settings.cache_dir,
        limit=int(settings.cache_gib * 2**30) or None,
        epochs=epochs,
    )


def image_size(settings, source=None, checkpoint_size=None):
    """Side of the network's input in pixels.

    Args:
        settings: the command's, whose `--image_size` comes first.
        source: images for the network, or None if they are not known.
        checkpoint_size: size that the network was trained on, or None.

    Raises:
        ValueError: none of the three gives a size.
    """
    if settings.image_size:
        return settings.image_size
    if checkpoint_size:
        return checkpoint_size
    if source is None:
        raise ValueError(
            "--image_size must be given: the model does not say on which size"
            " it was trained. Received: --image_size=0"
        )
    return source.default_size


@dataclasses.dataclass(frozen=True)
class PretrainingImages:
    """The images of a pre-training; each of the three is a `data.Source`.

    Attributes:
        trained: training images.
        probe: labelled images that train the online probe; None: no probe.
        held_out: evaluation images, or None.
        size: side of the network's input in pixels.
    """

    trained: Any
    probe: Any
    held_out: Any
    size: int

    @property
    def channels(self):
        """Number of channels of the images."""
        return self.trained.num_channels

    @property
    def labelled(self):
        """Whether training and held-out images have labels, as kNN needs."""
        both = (self.trained, self.held_out)
        return all(source and source.has_labels for source in both)

    def cached(self, settings, epochs):
        """The same images, cached as `--cache` says.

        Args:
            settings: the command's.
            epochs: epochs of the whole training, perhaps a fraction.
        """
        trained = cached(settings, self.trained, epochs)
        probe, held_out = self.probe, self.held_out
        if probe is self.trained:
            probe = trained
        elif probe is not None:
            probe = cached(settings, probe, epochs)
        if held_out is not None and settings.eval_every_epochs:
            times = epochs / settings.eval_every_epochs
            held_out = cached(settings, held_out, times)
        return PretrainingImages(trained, probe, held_out, self.size)


def open_for_pretraining(settings):
    """Opens the `PretrainingImages`; warns if `held_out` overlaps `trained`."""
    if _is_supervised(settings) and settings.probe_dataset is not None:
        raise ValueError(
            "--probe_dataset must be left out of a loss that takes the labels"
            f" of the images. Received: --loss={settings.loss}"
            f" --probe_dataset={settings.probe_dataset}"
        )
    trained = open_source(settings, settings.train_split)
    if _is_supervised(settings):
        sk.data.require_labels(trained)
    probe = _probe_source(settings, trained)
    held_out = _evaluation_source(settings)
    sk.data.warn_of_overlap(trained, held_out)
    size = image_size(settings, trained)
    return PretrainingImages(trained, probe, held_out, size)


def _is_supervised(settings):
    """Whether the loss takes the labels of the images."""
    return settings.loss in choices.SUPERVISED_LOSSES


def _evaluation_source(settings):
    """The images of `--eval_split`, or None."""
    if settings.eval_split is not None:
        split = settings.eval_split
        return open_source(settings, split) if split else None
    from simclr_keras.data import slices

    try:
        return open_source(settings, "test")
    except slices.NoSuchSplit:  # the usual case for photographs
        print("No labelled test split: no evaluation.")
    except ValueError as error:
        print(f"No evaluation, --eval_split is not given: {error}")
    return None


def _probe_source(settings, trained):
    """The images that train the online probe; None: no probe."""
    if not settings.lineareval_while_pretraining:
        return None
    if settings.probe_dataset is None:
        return trained if trained.has_labels else None
    source = open_source(settings, "train", settings.probe_dataset)
    sk.data.require_labels(source)
    return source


def check_classes(source, held_out):
    """Refuses sources without labels, or with classes to evaluate on alone.

    Args:
        source: labelled training images.
        held_out: labelled evaluation images.
    """
    for each in (source, held_out):
        sk.data.require_labels(each)
    if held_out.num_classes > source.num_classes:
        raise ValueError(
            "--eval_split must have no classes that --train_split lacks."
            f" Received: {held_out.num_classes} classes in"
            f" {held_out.summary()}, {source.num_classes} in {source.summary()}"
        )


def check_whole_images(settings, images):
    """Refuses views without crops if the images have another size.

    Args:
        settings: the command's.
        images: `PretrainingImages`.
    """
    whole = not settings.crop or settings.augment_one
    shape = images.trained.image_shape
    if whole and (shape is None or shape[:2] != (images.size, images.size)):
        received = "files, of any sizes"
        if shape is not None:
            received = f"images of {shape[0]} x {shape[1]}"
        raise ValueError(
            "--nocrop and --augment_one need images of the size of the views,"
            f" {images.size} x {images.size} pixels: arrays, or a data set of"
            f" one size. Received: {received}"
        )


def check_shown(settings, source):
    """Refuses a `--show_channels` that the images do not have."""
    from simclr_keras.report import bands

    bands.check(settings.show_channels, source.num_channels, "--show_channels")


def pretraining_batches(settings, devices, images):
    """Shuffled batches, with labels if the probe or the loss needs them.

    Args:
        settings: the command's.
        devices: `distribute.strategy.Choice`.
        images: `PretrainingImages`.

    Raises:
        ValueError: the batch does not fit the data set.
    """
    probe = images.probe
    dataset = sk.data.make_dataset(
        images.trained,
        batch_size=settings.train_batch_size,
        image_size=images.size,
        training=True,
        labelled=probe is images.trained or _is_supervised(settings),
        views=2,
        seed=settings.seed,
    )
    if probe is None or probe is images.trained:
        return dataset
    labelled = sk.data.make_dataset(
        probe,
        batch_size=_part_of_batch(
            settings, devices, probe, "the batch of --probe_dataset"
        ),
        image_size=images.size,
        training=True,
        labelled=True,
        views=1,
        seed=settings.seed + 1,
    )
    return sk.data.with_probe(dataset, labelled)


def cached_batches(settings, devices, images, dataset, epochs):
    """The images cached as `--cache` says, and their batches.

    Args:
        settings: the command's.
        devices: `distribute.strategy.Choice`.
        images: `PretrainingImages`.
        dataset: `pretraining_batches` of the images; returned unchanged if
            nothing that it reads is cached.
        epochs: epochs of the whole training, perhaps a fraction.
    """
    made = images.cached(settings, epochs)
    if (made.trained, made.probe) != (images.trained, images.probe):
        dataset = pretraining_batches(settings, devices, made)
    return made, dataset


def validation(settings, devices, images, every):
    """Arguments of `fit` for validation on the held-out images.

    Args:
        settings: the command's.
        devices: `distribute.strategy.Choice`.
        images: `PretrainingImages`.
        every: epochs of `fit` between validations.

    Returns:
        Dict; empty if probe or loss need labels and the held-out images have
        none, or if the probe has a data set of its own.
    """
    probe = images.probe
    labelled = probe is not None or _is_supervised(settings)
    same = probe is None or probe is images.trained
    if labelled and not (same and images.labelled):
        return {}
    batch = _part_of_batch(
        settings, devices, images.held_out, "the validation batch"
    )
    batches = sk.data.evaluation_images(
        images.held_out,
        images.size,
        batch,
        labelled=labelled,
        drop_remainder=True,
    )
    return {"validation_data": batches, "validation_freq": every}


def _part_of_batch(settings, devices, source, name):
    """The largest divisor of the global batch for which there are images."""
    from simclr_keras.distribute import limits

    return limits.part_of_batch(
        settings.train_batch_size, source.num_examples, devices.replicas, name
    )
