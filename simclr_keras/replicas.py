"""One replica's part -> that of all replicas, with gradients through it.

What follows is called inside the replicas' step; outside of one, and where
there is one replica, everything comes back as it is.
"""

import tensorflow as tf


def here():
    """`(number of replicas, number of this one)`; `(1, 0)` outside of any."""
    context = tf.distribute.get_replica_context()
    if context is None:
        return 1, 0
    return context.num_replicas_in_sync, context.replica_id_in_sync_group


def may_loop():
    """Whether collectives are allowed inside `tf.while_loop`.

    Where replicas are threads that meet in Python, they are not.
    """
    meeting = (
        tf.distribute.MirroredStrategy,
        tf.distribute.MultiWorkerMirroredStrategy,
    )
    return not isinstance(tf.distribute.get_strategy(), meeting)


def positions(count):
    """Places of this replica's rows in the global batch.

    Args:
        count: integer scalar n, rows of this replica; the same on all.

    Returns:
        int64 tensor `[n]`.
    """
    _, replica = here()
    count = tf.cast(count, tf.int64)
    return tf.cast(replica, tf.int64) * count + tf.range(count)


def all_reduce(tensor):
    """Sum over all replicas; its gradient is the sum of their gradients."""
    if here()[0] == 1:
        return tensor
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def gather(part):
    """Joins the parts of all replicas, in the order of the replicas.

    Gradients flow back: each part gets the sum of what all replicas' losses
    say about its copies.

    Args:
        part: float tensor `[n, ...]`, of one shape on all replicas.

    Returns:
        Tensor `[R n, ...]` for R replicas.

    Reference:
        Chen et al. 2020 (arXiv 2002.05709), section 2.2.
    """
    count, replica = here()
    if count == 1:
        return part
    # Each replica's part among zeros, summed: static shapes, and the one
    # collective that every kind of device has. Adding zeros is exact.
    shape = tf.shape(part)
    places = tf.scatter_nd(
        [[replica]], part[tf.newaxis], tf.concat([[count], shape], axis=0)
    )
    shape = tf.concat([[count * shape[0]], shape[1:]], axis=0)
    whole = tf.reshape(all_reduce(places), shape)
    rows = part.shape[0] and count * part.shape[0]
    return tf.ensure_shape(whole, [rows, *part.shape[1:]])


def mean(scalars):
    """Means over all replicas, by one collective.

    Args:
        scalars: dict of float scalars.

    Returns:
        Dict of the same names and dtypes.
    """
    count, _ = here()
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
