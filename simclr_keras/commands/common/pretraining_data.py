"""Opens the images of a pre-training, and makes their batches."""

import dataclasses
from typing import Any

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import label_flags


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
    def classified(self):
        """Whether training and held-out images have classes, as kNN needs."""
        both = (self.trained, self.held_out)
        return all(source and source.has_classes for source in both)

    @property
    def channels(self):
        """Number of channels of the images."""
        return self.trained.num_channels

    @property
    def labelled(self):
        """Whether training and held-out images have labels of any kind."""
        both = (self.trained, self.held_out)
        return all(source and source.has_labels for source in both)

    def cached(self, settings, epochs):
        """The same images, cached as `--cache` says.

        Args:
            settings: the command's.
            epochs: epochs of the whole training, perhaps a fraction.
        """
        trained = input_data.cached(settings, self.trained, epochs)
        probe, held_out = self.probe, self.held_out
        if probe is self.trained:
            probe = trained
        elif probe is not None:
            probe = input_data.cached(settings, probe, epochs)
        if held_out is not None and settings.eval_every_epochs:
            times = epochs / settings.eval_every_epochs
            held_out = input_data.cached(
                settings, held_out, times, trained=False
            )
        return PretrainingImages(trained, probe, held_out, self.size)


def open_for_pretraining(settings):
    """Opens the `PretrainingImages`; warns if `held_out` overlaps `trained`."""
    if _is_supervised(settings) and settings.probe_dataset is not None:
        raise ValueError(
            "--probe_dataset must be left out of a loss that takes the labels"
            f" of the images. Received: --loss={settings.loss}"
            f" --probe_dataset={settings.probe_dataset}"
        )
    if _is_supervised(settings):
        what = f"--loss={settings.loss}, which takes classes"
        label_flags.require_classes(settings, what)
    table = label_flags.table(settings)
    trained = input_data.open_source(settings, settings.train_split, table)
    if _is_supervised(settings):
        sk.data.require_labels(trained)
    probe = _probe_source(settings, trained)
    held_out = _evaluation_source(settings, table)
    sk.data.warn_of_overlap(trained, held_out)
    size = input_data.image_size(settings, trained)
    return PretrainingImages(trained, probe, held_out, size)


def _is_supervised(settings):
    """Whether the loss takes the labels of the images."""
    return settings.loss in choices.SUPERVISED_LOSSES


def _evaluation_source(settings, table):
    """The images of `--eval_split`, or None."""
    if settings.eval_split is not None:
        split = settings.eval_split
        if not split:
            return None
        return input_data.open_source(settings, split, table)
    from simclr_keras.data import slices

    try:
        return input_data.open_source(settings, "test", table)
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
        return trained if trained.has_classes else None
    source = input_data.open_source(
        settings, "train", dataset=settings.probe_dataset
    )
    sk.data.require_labels(source)
    return source


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
        data_service=settings.data_service,
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
        data_service=settings.data_service,
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
    if labelled and not (same and images.classified):
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
