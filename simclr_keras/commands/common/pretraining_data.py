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

    def by_use(self):
        """Dict of what the images are used for to their `data.Source`."""
        own = None if self.probe is self.trained else self.probe
        return {
            "training images": self.trained,
            "images of the probe": own,
            "evaluation images": self.held_out,
        }

    def cached(self, flags, epochs):
        """The same images, cached as `--cache` says.

        Args:
            flags: the command's.
            epochs: epochs of the whole training, perhaps a fraction.
        """
        trained = input_data.cached(flags, self.trained, epochs)
        probe, held_out = self.probe, self.held_out
        if probe is self.trained:
            probe = trained
        elif probe is not None:
            probe = input_data.cached(flags, probe, epochs)
        if held_out is not None and flags.eval_every_epochs:
            times = epochs / flags.eval_every_epochs
            held_out = input_data.cached(flags, held_out, times, trained=False)
        return PretrainingImages(trained, probe, held_out, self.size)


def open_for_pretraining(flags):
    """Opens the `PretrainingImages`; warns if `held_out` overlaps `trained`."""
    if _is_supervised(flags) and flags.probe_dataset is not None:
        raise ValueError(
            "--probe_dataset must be left out of a loss that takes the labels"
            f" of the images. Received: --loss={flags.loss}"
            f" --probe_dataset={flags.probe_dataset}"
        )
    if _is_supervised(flags):
        what = f"--loss={flags.loss}, which takes classes"
        label_flags.require_classes(flags, what)
    table = label_flags.table(flags)
    trained = input_data.open_source(flags, flags.train_split, table)
    if _is_supervised(flags):
        sk.data.require_labels(trained)
    probe = _probe_source(flags, trained)
    held_out = _evaluation_source(flags, table)
    sk.data.warn_of_overlap(trained, held_out)
    size = input_data.image_size(flags, trained)
    return PretrainingImages(trained, probe, held_out, size)


def _is_supervised(flags):
    """Whether the loss takes the labels of the images."""
    return flags.loss in choices.SUPERVISED_LOSSES


def _evaluation_source(flags, table):
    """The images of `--eval_split`, or None."""
    if flags.eval_split is not None:
        split = flags.eval_split
        if not split:
            return None
        return input_data.open_source(flags, split, table)
    from simclr_keras.data.sources import slices

    try:
        return input_data.open_source(flags, "test", table)
    except slices.NoSuchSplit:  # the usual case for photographs
        print("No labelled test split: no evaluation.")
    except ValueError as error:
        print(f"No evaluation, --eval_split is not given: {error}")
    return None


def _probe_source(flags, trained):
    """The images that train the online probe; None: no probe."""
    if not flags.lineareval_while_pretraining:
        return None
    if flags.probe_dataset is None:
        return trained if trained.has_classes else None
    source = input_data.open_source(flags, "train", dataset=flags.probe_dataset)
    sk.data.require_labels(source)
    return source


def check_whole_images(flags, images):
    """Refuses views without crops if the images have another size.

    Args:
        flags: the command's.
        images: `PretrainingImages`.
    """
    whole = not flags.crop or flags.augment_one
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


def pretraining_batches(flags, devices, images):
    """Shuffled batches, with labels if the probe or the loss needs them.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`.
        images: `PretrainingImages`.

    Raises:
        ValueError: the batch does not fit the data set.
    """
    probe = images.probe
    dataset = sk.data.make_dataset(
        images.trained,
        batch_size=flags.train_batch_size,
        image_size=images.size,
        training=True,
        labelled=probe is images.trained or _is_supervised(flags),
        views=2,
        seed=flags.seed,
        data_service=flags.data_service,
    )
    if probe is None or probe is images.trained:
        return dataset
    labelled = sk.data.make_dataset(
        probe,
        batch_size=_part_of_batch(
            flags, devices, probe, "the batch of --probe_dataset"
        ),
        image_size=images.size,
        training=True,
        labelled=True,
        views=1,
        seed=flags.seed + 1,
        data_service=flags.data_service,
    )
    return sk.data.with_probe(dataset, labelled)


def cached_batches(flags, devices, images, dataset, epochs):
    """The images cached as `--cache` says, and their batches.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`.
        images: `PretrainingImages`.
        dataset: `pretraining_batches` of the images; returned unchanged if
            nothing that it reads is cached.
        epochs: epochs of the whole training, perhaps a fraction.
    """
    made = images.cached(flags, epochs)
    if (made.trained, made.probe) != (images.trained, images.probe):
        dataset = pretraining_batches(flags, devices, made)
    return made, dataset


def validation(flags, devices, images, every):
    """Arguments of `fit` for validation on the held-out images.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`.
        images: `PretrainingImages`.
        every: epochs of `fit` between validations.

    Returns:
        Dict; empty if probe or loss need labels and the held-out images have
        none, or if the probe has a data set of its own.
    """
    probe = images.probe
    labelled = probe is not None or _is_supervised(flags)
    same = probe is None or probe is images.trained
    if labelled and not (same and images.classified):
        return {}
    batch = _part_of_batch(
        flags, devices, images.held_out, "the validation batch"
    )
    batches = sk.data.evaluation_images(
        images.held_out,
        images.size,
        batch,
        labelled=labelled,
        drop_remainder=True,
    )
    return {"validation_data": batches, "validation_freq": every}


def _part_of_batch(flags, devices, source, name):
    """The largest divisor of the global batch for which there are images."""
    from simclr_keras.distribute import limits

    return limits.part_of_batch(
        flags.train_batch_size, source.num_examples, devices.replicas, name
    )
