"""Combines `Batches`: skips steps, groups epochs, adds batches of a probe."""

from __future__ import annotations

import functools

import tensorflow as tf

from simclr_keras.data import epochs
from simclr_keras.data.host_crops import NO_CROPS

# Starting an epoch of `fit` costs as much as some steps, so that a small data
# set is gone through several times in one.
_LEAST_STEPS = 25


def from_step(dataset: epochs.Batches, step: int) -> epochs.Batches:
    """Returns the rest of an epoch.

    What lies before is skipped without decoding an image.

    Args:
        dataset: `Batches`.
        step: the step to begin with, from 0.

    Returns:
        `Batches` from `step` on of whatever epoch is the next; they share the
        position.

    Raises:
        ValueError: these are no `Batches`, or have no such step.
    """
    _require_batches("dataset", dataset)
    if not 0 <= step < dataset.steps:
        raise ValueError(
            f"`step` must be in [0, {dataset.steps}), the steps of an epoch."
            f" Received: step={step!r}"
        )
    return dataset.changed(first=step)


def grouped(dataset: epochs.Batches, count: int) -> epochs.Batches:
    """Makes every iteration `count` epochs in a row.

    For few images: starting an epoch of `fit` costs more than its steps then.

    Args:
        dataset: `Batches`.
        count: epochs of the data that become one of `fit`, at least 1.

    Returns:
        `Batches` of the epochs `count * n` to `count * n + count - 1` in
        iteration n.

    Raises:
        ValueError: these are no `Batches`, or those of `from_step`; or
            `count` is below 1.
    """
    _require_whole("dataset", dataset)
    if count < 1:
        raise ValueError(f"`count` must be at least 1. Received: {count!r}")
    steps = dataset.steps

    def group(number, first_step, part, crops):
        first, within = first_step // steps, first_step % steps

        def epoch_of_group(index):
            step = tf.where(index == first, within, 0)
            epoch = number * count + index
            return dataset.one_epoch(epoch, step, part, crops)

        return tf.data.Dataset.range(first, count).flat_map(epoch_of_group)

    made = epochs.Batches(
        group,
        steps * count,
        dataset.element_spec,
        host_crops=dataset.host_crops,
        probe_crops=dataset.probe_crops,
        epochs_per_fit_epoch=dataset.epochs_per_fit_epoch * count,
    )
    return made.changed(crops=dataset._crops)


def group_short_epochs(
    dataset: epochs.Batches, total_steps: int
) -> epochs.Batches:
    """`grouped`, with as many epochs in one as a small data set needs.

    Args:
        dataset: `Batches`.
        total_steps: steps of the whole training.

    Returns:
        `Batches` whose `epochs_per_fit_epoch` says how many; the same where
        that is one.
    """
    count = epochs_per_fit_epoch(total_steps, dataset.steps)
    return dataset if count == 1 else grouped(dataset, count)


def epochs_per_fit_epoch(total_steps: int, steps: int) -> int:
    """Epochs of the data that `group_short_epochs` makes one of `fit`.

    Args:
        total_steps: steps of the whole training.
        steps: steps of an epoch of the data.
    """
    return -(-min(_LEAST_STEPS, total_steps) // steps)


def epochs_to_fit_epochs(epochs: int, per_fit_epoch: int) -> int:
    """Converts a period in epochs of the data to one in fit epochs.

    Args:
        epochs: epochs of the data, at least 1.
        per_fit_epoch: `Batches.epochs_per_fit_epoch`.
    """
    return max(1, round(epochs / per_fit_epoch))


def with_probe(
    dataset: epochs.Batches, labelled_dataset: epochs.Batches
) -> epochs.Batches:
    """Adds labelled batches for an online probe to unlabelled dataset.

    Args:
        dataset: unlabelled `Batches`; they set the epochs.
        labelled_dataset: labelled `Batches`; they start anew, in a new order,
            as often as an epoch needs it.

    Returns:
        `Batches` of dictionaries `"images"`, `"probe_images"`,
        `"probe_labels"`.

    Raises:
        ValueError: something else is given, or batches of `from_step`, or
            with labels where there must be none, or without where there must
            be some.
    """
    _require_whole("dataset", dataset)
    _require_whole("labelled_dataset", labelled_dataset)
    if isinstance(dataset.element_spec, tuple):
        raise ValueError(
            "`dataset` must yield images without labels; the probe's come"
            f" from `labelled_dataset`. Received: {dataset.element_spec}"
        )
    if not isinstance(labelled_dataset.element_spec, tuple):
        raise ValueError(
            "`labelled_dataset` must yield (images, labels); make it with"
            f" labelled=True. Received: {labelled_dataset.element_spec}"
        )
    crops = {dataset._crops, labelled_dataset._crops} - {NO_CROPS}
    if len(crops) > 1:
        raise ValueError(
            "`labelled_dataset` must be cropped as `dataset` is, by with_crops"
            " of both or of neither. Received: different crops"
        )
    made = epochs.Batches(
        functools.partial(_zip_with_probe, dataset, labelled_dataset),
        dataset.steps,
        _as_dict(dataset.element_spec, labelled_dataset.element_spec),
        host_crops=dataset.host_crops,
        probe_crops=labelled_dataset.host_crops,
        epochs_per_fit_epoch=dataset.epochs_per_fit_epoch,
    )
    return made.changed(crops=crops.pop() if crops else NO_CROPS)


def _as_dict(images, probe):
    return {
        "images": images,
        "probe_images": probe[0],
        "probe_labels": probe[1],
    }


def _zip_with_probe(batches, labelled, epoch, first_step, part, crops):
    """`one_epoch` of `with_probe`."""
    repeats = -(-batches.steps // labelled.steps)
    skipped = first_step // labelled.steps
    within = first_step % labelled.steps

    def one_repeat(number):
        first = tf.where(number == skipped, within, 0)
        return labelled.one_epoch(epoch * repeats + number, first, part, crops)

    probe = tf.data.Dataset.range(skipped, repeats).flat_map(one_repeat)
    images = batches.one_epoch(epoch, first_step, part, crops)
    return tf.data.Dataset.zip((images, probe)).map(_as_dict)


def _require_batches(name, batches):
    if not isinstance(batches, epochs.Batches):
        raise ValueError(
            f"`{name}` must be what `make_dataset` or `load` returns, not a"
            " tf.data.Dataset made from it, whose epochs are not known."
            f" Received: {type(batches).__name__}"
        )


def _require_whole(name, batches):
    _require_batches(name, batches)
    if batches.first_step:
        raise ValueError(
            f"`{name}` must be of whole epochs; combine them, and take"
            " from_step of what that gives. Received: batches from step"
            f" {batches.first_step} on"
        )
