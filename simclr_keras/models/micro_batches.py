"""Decides whether and how a batch is divided into micro-batches."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import scalars
from simclr_keras.contrastive import similarity
from simclr_keras.distribute import replicas
from simclr_keras.models import batches
from simclr_keras.models import fitting

_NAME = "micro_batch_size"


def check_argument(micro_batch_size: int | None) -> int | None:
    """Returns a `micro_batch_size` as an int, or None.

    Raises:
        ValueError: it is no positive integer.
    """
    if micro_batch_size is None:
        return None
    if not scalars.is_whole(micro_batch_size) or micro_batch_size < 1:
        raise ValueError(
            f"{_NAME} must be a positive whole number of images, or"
            f" None. Received: {micro_batch_size!r}"
        )
    return int(micro_batch_size)


def check_size(
    batch: int | None, micro: int | None, shared_by: int, name: str = _NAME
) -> None:
    """Raises a ValueError if a micro-batch does not divide a batch.

    Args:
        batch: number of images in the global batch, a multiple of the number
            of replicas; None if unknown.
        micro: number of images in a micro-batch over all replicas; None for no
            micro-batches.
        shared_by: number of replicas.
        name: name of the micro-batch size in the error message.

    Raises:
        ValueError: the sizes do not divide.
    """
    if micro is None:
        return
    if not batch:
        raise ValueError(
            f"{name} needs a global batch of a fixed, known size;"
            " make the data set with drop_remainder=True, or give batch_size"
            " with arrays. Received: data of unknown batch size"
        )
    if batch <= micro or (batch % micro == 0 and micro % shared_by == 0):
        return
    sizes = range(shared_by, batch + 1, shared_by)
    sizes = [size for size in sizes if batch % size == 0]
    nearest = [size for size in sizes if size < micro][-1:]
    nearest += [size for size in sizes if size > micro][:1]
    rule = f"must divide the global batch of {batch} images"
    if shared_by > 1:
        rule += (
            f", and itself be divisible by the number of replicas, {shared_by}"
        )
    raise ValueError(
        f"{name} {rule}: {' or '.join(map(str, nearest))} would. Received:"
        f" {micro} images"
    )


def check_fit(model: keras.Model, data: Any) -> None:
    """Raises a ValueError for data that `fit` cannot divide into micro-batches.

    Args:
        model: `SimCLR` whose `global_batch_size` is set.
        data: first argument of `fit`.

    Raises:
        ValueError: sizes do not divide, or the networks or the views draw
            random numbers that cannot be drawn twice.
    """
    micro, batch = model.micro_batch_size, model.global_batch_size
    check_size(batch, micro, model.distribute_strategy.num_replicas_in_sync)
    if micro is None or batch <= micro:
        return
    check_repeatable(model)
    left = fitting.left_over(data, batch)
    if left:
        raise ValueError(
            f"{_NAME} needs batches of one size: with batch_size={batch} the"
            f" last of {len(tf.nest.flatten(data)[0])} images would make a"
            f" smaller one. Leave out {left} images, or make a data set with"
            " drop_remainder=True"
        )


def check_repeatable(model: keras.Model) -> None:
    """Raises a ValueError if two forward passes would draw different numbers.

    Args:
        model: `SimCLR`.

    Raises:
        ValueError: a layer of the networks or of the views draws numbers that
            cannot be drawn twice.
    """
    layers = compat.unrepeatable_layers(model.encoder, model.projection_head)
    if layers:
        raise ValueError(
            f"{_NAME} runs the networks twice, and on Keras 2.15 dropout and"
            " its like cannot draw the same numbers twice. Leave them out, or"
            " use Keras 3. Received:"
            f" {', '.join(sorted({layer.name for layer in layers}))}"
        )
    branches = [getattr(model.views, n, None) for n in ("first", "second")]
    random_branches = [
        b.name
        for b in branches
        if b is not None and not getattr(b, "is_stateless", False)
    ]
    if random_branches:
        raise ValueError(
            f"{_NAME} draws every view twice, so views must be a function of"
            " seed, step and position, as a View is without Keras layers in"
            " branches and append. Received:"
            f" {', '.join(random_branches)}"
        )


def split_batch(
    model: keras.Model, batch: batches.Batch
) -> tuple[batches.Batch, int]:
    """Prepares a batch for training and counts its micro-batches.

    Args:
        model: `SimCLR`.
        batch: `Batch` of this replica.

    Returns:
        The batch, with a static number of rows if it has several micro-batches;
        and their number, a Python integer, 1 for a step on the whole batch.

    Raises:
        ValueError: the micro-batch size does not divide the batch.
    """
    micro = model.micro_batch_size
    if micro is None:
        return batch, 1
    here, rows = replicas.replica_context().count, batch.images.shape[0]
    size = rows * here if rows else model.global_batch_size
    check_size(size, micro, here)
    if size <= micro:
        return batch, 1
    check_repeatable(model)
    return batches.with_static_batch_size(batch, size // here), size // micro


def num_micro_batches(model: keras.Model, rows: int | None) -> int:
    """Smallest number of equal micro-batches of at most the set size.

    Args:
        model: `SimCLR`.
        rows: number of rows of this replica, or None if unknown.

    Returns:
        Python integer; 1 for no micro-batches.
    """
    if model.micro_batch_size is None or not rows:
        return 1
    most = max(1, model.micro_batch_size // replicas.replica_context().count)
    fewest = -(-rows // most)
    return next(n for n in range(fewest, rows + 1) if rows % n == 0)


def row_spec(outputs: tf.Tensor) -> tf.TensorSpec:
    """Shape and dtype of one row of a network's output, float32 at least.

    Micro-batches allocate the rows of the whole batch by it.
    """
    dtype = similarity.as_float(outputs).dtype
    return tf.TensorSpec(outputs.shape[1:], dtype)
