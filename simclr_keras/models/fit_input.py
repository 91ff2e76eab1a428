"""Converts the data set of a `fit` to the input that Keras iterates over."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import data
from simclr_keras.distribute import workers


def can_be_timed(
    model: keras.Model, dataset: Any, arguments: dict[str, Any]
) -> bool:
    """Whether the time that steps of a `fit` wait for input can be measured.

    Args:
        model: the model that is fitted.
        dataset: the first argument of its `fit`.
        arguments: dict of its other arguments by name.
    """
    known = isinstance(dataset, tf.data.Dataset)
    known &= arguments.get("steps_per_epoch") is None
    known |= isinstance(dataset, data.Batches)
    return known and not compat.prefetches_across_steps(model)


def input_of(
    model: keras.Model, dataset: Any, arguments: dict[str, Any]
) -> Any:
    """Returns the input that replaces a data set in Keras's `fit`.

    Args:
        model: the model that is fitted; its `input_wait` times the batches,
            unless it is None.
        dataset: the first argument of its `fit`.
        arguments: dict of its other arguments by name, changed in place.
    """
    strategy, wait = model.distribute_strategy, model.input_wait
    if not isinstance(dataset, data.Batches):
        if wait is None:
            return dataset
        return wait.timer.watch(dataset.prefetch(tf.data.AUTOTUNE))
    if workers.spans_processes(strategy):
        arguments.setdefault("steps_per_epoch", dataset.steps)
        return _own_part(dataset, model.global_batch_size, strategy, wait)
    if compat.prefetches_across_steps(model):
        # If a fit epoch begins in its middle, Keras requests more batches than
        # remain.
        return compat.with_cardinality(dataset.open_ended(), len(dataset))
    made = dataset.as_dataset()  # makes its batches ahead
    return made if wait is None else wait.timer.watch(made)


def validation_of(
    model: keras.Model, validation: data.Batches, arguments: dict[str, Any]
) -> Any:
    """Returns the input that replaces the batches of a validation in `fit`.

    Args:
        model: the model that is fitted.
        validation: `data.Batches`.
        arguments: dict of the other arguments by name, changed in place.
    """
    strategy = model.distribute_strategy
    size = tf.nest.flatten(validation.element_spec)[0].shape[0]
    shareable = (
        workers.spans_processes(strategy)
        and not validation.first_step
        and arguments.get("validation_steps") is None
        and size is not None
        and size % strategy.num_replicas_in_sync == 0
    )
    if not shareable:
        return validation.as_dataset()
    arguments["validation_steps"] = validation.steps
    return _own_part(validation, size, strategy, None)


def _own_part(dataset, size, strategy, wait):
    """Input of this process: the rows of its replicas in each global batch.

    Each process decodes only these of the `size` rows of a global batch, in the
    global order. With Keras's default, every process would read all rows.
    """

    def part_of(context):
        parts = context.num_input_pipelines
        part = dataset.endless((context.input_pipeline_id, parts))
        count = context.num_replicas_in_sync
        if parts != count:
            part = part.rebatch(size // count).prefetch(tf.data.AUTOTUNE)
        return part if wait is None else wait.timer.watch(part)

    return compat.distributed(strategy, part_of, dataset.steps)
