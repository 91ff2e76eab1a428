"""Makes what Keras iterates over in `fit` of the data set that it is given."""

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
    """Whether it can be told what the steps of a `fit` wait for their input.

    Args:
        model: the model that is fitted.
        dataset: the first argument of its `fit`.
        arguments: dict of the others by name.
    """
    known = isinstance(dataset, tf.data.Dataset)
    known &= arguments.get("steps_per_epoch") is None
    known |= isinstance(dataset, data.Batches)
    return known and not compat.prefetches_across_steps(model)


def input_of(
    model: keras.Model, dataset: Any, arguments: dict[str, Any]
) -> Any:
    """What takes a data set's place in Keras's `fit`.

    Args:
        model: the model that is fitted; its `input_wait` times the batches,
            unless it is None.
        dataset: the first argument of its `fit`.
        arguments: dict of the others by name, changed in place.
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
        # Of a fit epoch that begins late, it asks for more than there is.
        return compat.with_cardinality(dataset.open_ended(), len(dataset))
    made = dataset.as_dataset()  # whose batches are made ahead
    return made if wait is None else wait.timer.watch(made)


def _own_part(dataset, size, strategy, wait):
    """What this process reads of a data set, for its replicas.

    Each process makes and decodes its own rows of every global batch, of
    `size` rows, in the global order, where Keras would let it read all.
    """

    def part_of(context):
        parts = context.num_input_pipelines
        part = dataset.endless((context.input_pipeline_id, parts))
        count = context.num_replicas_in_sync
        if parts != count:
            part = part.rebatch(size // count).prefetch(tf.data.AUTOTUNE)
        return part if wait is None else wait.timer.watch(part)

    return compat.distributed(strategy, part_of, dataset.steps)
