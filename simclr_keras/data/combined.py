"""Transforms `Batches`: first step, groups of epochs, map, crops, probe."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from simclr_keras.data import epochs
from simclr_keras.data.host_crops import NO_CROPS
from simclr_keras.data.host_crops import ViewCrops

# Fewest steps in an epoch of `fit`. Starting one costs as much as some steps,
# so one epoch of `fit` makes several passes over a small data set.
_LEAST_STEPS = 25


def from_step(dataset: epochs.Batches, step: int) -> epochs.Batches:
    """Returns the rest of an epoch, from a step on.

    The steps before are skipped without decoding an image.

    Args:
        dataset: `Batches`.
        step: the step to begin with, from 0.

    Returns:
        `Batches` that begin every epoch at `step`; they share the position of
        `dataset`.

    Raises:
        ValueError: `dataset` is not `Batches`, or has no such step.
    """
    _require_batches("dataset", dataset)
    if not 0 <= step < dataset.steps:
        raise ValueError(
            f"`step` must be in [0, {dataset.steps}), the steps of an epoch."
            f" Received: step={step!r}"
        )
    return dataset.changed(first=step)


def mapped(
    dataset: epochs.Batches, function: Callable, element_spec: Any
) -> epochs.Batches:
    """Applies a function to every batch.

    Args:
        dataset: `Batches`.
        function: function of a batch, called as by `tf.data.Dataset.map`.
        element_spec: nest of `tf.TensorSpec`, the form of its result.

    Returns:
        `Batches` with a position of their own.
    """
    return epochs.Batches(
        lambda *arguments: dataset.one_epoch(*arguments).map(function),
        dataset.steps,
        element_spec,
        host_crops=dataset.host_crops,
        is_shuffled=dataset.is_shuffled,
    )


def grouped(dataset: epochs.Batches, count: int) -> epochs.Batches:
    """Makes every iteration run through `count` epochs.

    This helps with few images, where starting an epoch of `fit` costs more than
    its steps.

    Args:
        dataset: `Batches`.
        count: number of epochs that become one epoch of `fit`, at least 1.

    Returns:
        `Batches` of the epochs `count * n` to `count * n + count - 1` in
        iteration n.

    Raises:
        ValueError: `dataset` is not `Batches`, or comes from `from_step`; or
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
        is_shuffled=dataset.is_shuffled,
        one_crop=lambda: grouped(dataset.with_one_crop(), count),
    )
    return made.changed(crops=dataset._crops)


def group_short_epochs(
    dataset: epochs.Batches, total_steps: int
) -> epochs.Batches:
    """Groups the epochs of a small data set, see `grouped`.

    Args:
        dataset: `Batches`.
        total_steps: steps of the whole training.

    Returns:
        `Batches` whose `epochs_per_fit_epoch` is the number of epochs in a
        group; `dataset` itself if that is one.
    """
    count = epochs_per_fit_epoch(total_steps, dataset.steps)
    return dataset if count == 1 else grouped(dataset, count)


def epochs_per_fit_epoch(total_steps: int, steps: int) -> int:
    """Number of epochs that `group_short_epochs` makes one epoch of `fit`.

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
    """Adds labelled batches for an online probe to an unlabelled data set.

    Args:
        dataset: unlabelled `Batches`, which determine the epochs.
        labelled_dataset: labelled `Batches`, which are repeated, in a new order
            each time, as often as an epoch needs it.

    Returns:
        `Batches` of dictionaries `"images"`, `"probe_images"`,
        `"probe_labels"`.

    Raises:
        ValueError: an argument is not `Batches` or comes from `from_step`;
            `dataset` has labels or `labelled_dataset` has none; or both have
            different crops.
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
        is_shuffled=dataset.is_shuffled,
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


def as_dataset(data: Any) -> Any:
    """`Batches` as a `tf.data.Dataset`; anything else as it is."""
    return data.as_dataset() if isinstance(data, epochs.Batches) else data


def with_crops(dataset: Any, crops: ViewCrops) -> Any:
    """The same batches, with the random crops that a model's views state.

    `fit` does this by itself.

    Args:
        dataset: `Batches`. Only photographs that are cropped at random on the
            host are changed; anything but `Batches` is returned as it is.
        crops: pair of `random_crops.Crops`, of the first and the second view;
            None for a view that does not state its crops; those of an earlier
            `with_crops`, or of the data set, then stay.

    Returns:
        `dataset` itself if it has these crops already; else `Batches` that
        share its position.

    Raises:
        ValueError: other crops were stated for the data set.
    """
    if not isinstance(dataset, epochs.Batches):
        return dataset
    crops = tuple(new or old for new, old in zip(crops, dataset._crops))
    changed = dataset.changed(crops=crops)
    return dataset if changed.crops() == dataset.crops() else changed


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
            f"`{name}` must be of whole epochs; combine first, then call"
            " from_step on the result. Received: batches from step"
            f" {batches.first_step} on"
        )
