"""Gathers and averages tensors over replicas; gradients flow through.

Call the functions inside the replicas' step. Outside of one, and with one
replica, the collectives return their argument.
"""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

import tensorflow as tf


class ReplicaContext(NamedTuple):
    """Identifies the replica that runs.

    Attributes:
        count: number of replicas, a Python integer.
        index: number of this one, from 0; an integer or a scalar tensor.
    """

    count: int
    index: Any


def replica_context() -> ReplicaContext:
    """`ReplicaContext` of the replica that runs; `(1, 0)` outside of any."""
    context = tf.distribute.get_replica_context()
    if context is None:
        return ReplicaContext(1, 0)
    return ReplicaContext(
        context.num_replicas_in_sync, context.replica_id_in_sync_group
    )


def collectives_allowed_in_loop() -> bool:
    """Whether collectives are allowed inside `tf.while_loop`.

    The mirrored strategies do not allow them: their replicas are Python threads
    that wait for each other while the step is traced.
    """
    threaded = (
        tf.distribute.MirroredStrategy,
        tf.distribute.MultiWorkerMirroredStrategy,
    )
    return not isinstance(tf.distribute.get_strategy(), threaded)


def positions(count: int | tf.Tensor) -> tf.Tensor:
    """Positions of this replica's rows in the global batch.

    Args:
        count: integer scalar n, rows of this replica; the same on all replicas.

    Returns:
        int64 tensor `[n]`.
    """
    count = tf.cast(count, tf.int64)
    first = tf.cast(replica_context().index, tf.int64) * count
    return first + tf.range(count)


def all_reduce(tensor: tf.Tensor) -> tf.Tensor:
    """Sum over all replicas; its gradient is the sum of their gradients."""
    if replica_context().count == 1:
        return tensor
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def gather(part: tf.Tensor) -> tf.Tensor:
    """Concatenates the parts of all replicas, in the order of the replicas.

    Gradients flow back: the gradient of a part is the sum, over all replicas,
    of the gradient of the replica's loss by its copy of the part.

    Args:
        part: float tensor `[n, ...]`, of the same shape on all replicas.

    Returns:
        Tensor `[R n, ...]` for R replicas.

    Reference:
        Chen et al. 2020 (arXiv 2002.05709), section 2.2.
    """
    count, index = replica_context()
    if count == 1:
        return part
    # Sums tensors in which each replica has its part, and zeros elsewhere. This
    # keeps shapes static, and needs only the collective that every kind of
    # device has. Adding zeros is exact.
    shape = tf.shape(part)
    padded = tf.scatter_nd(
        [[index]], part[tf.newaxis], tf.concat([[count], shape], axis=0)
    )
    shape = tf.concat([[count * shape[0]], shape[1:]], axis=0)
    whole = tf.reshape(all_reduce(padded), shape)
    rows = part.shape[0] and count * part.shape[0]
    return tf.ensure_shape(whole, [rows, *part.shape[1:]])


def mean(scalars: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Averages scalars over all replicas, with one collective.

    Args:
        scalars: dict of float scalars.

    Returns:
        Dict of the same names and dtypes.
    """
    count, _ = replica_context()
    if count == 1:
        return scalars
    double = any(x.dtype == tf.float64 for x in scalars.values())
    dtype = tf.float64 if double else tf.float32
    stacked = tf.stack([tf.cast(x, dtype) for x in scalars.values()])
    means = tf.unstack(all_reduce(stacked) / count)
    return {
        name: tf.cast(value, x.dtype)
        for (name, x), value in zip(scalars.items(), means)
    }
