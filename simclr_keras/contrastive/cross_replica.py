"""Gathers the views of all replicas, the candidates of a loss."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras.contrastive import similarity
from simclr_keras.distribute import replicas


def candidates(z_a: tf.Tensor, z_b: tf.Tensor) -> dict[str, tf.Tensor]:
    """Gathers all replicas' views, so that they are negatives for this one.

    Call this inside the replicas' step; it needs one collective. Gradients flow
    back through the gather, so the mean of the replicas' losses has the
    gradient of the loss over the global batch.

    Args:
        z_a: first view of this replica's images, `[n, d]`, any float type.
        z_b: second view, `[n, d]`.

    Returns:
        Keyword arguments of a loss, such as `NTXent`, and of
        `contrastive_metrics`: `z_a_global`, `z_b_global` `[R n, d]` for R
        replicas, and `first_anchor`. Empty if there is one replica.

    Reference:
        Chen et al. 2020 (arXiv 2002.05709), section 2.2.
    """
    count, index = replicas.replica_context()
    if count == 1:
        return {}
    views = [similarity.as_float(z) for z in (z_a, z_b)]
    z_global = replicas.gather(tf.stack(views, axis=1))  # [R n, 2, d]
    z_a_global, z_b_global = tf.unstack(z_global, axis=1)
    return {
        "z_a_global": z_a_global,
        "z_b_global": z_b_global,
        "first_anchor": index * tf.shape(z_a)[0],
    }


def labels_of_candidates(labels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Gathers the labels of all replicas' images, for a loss that takes them.

    Args:
        labels: classes of this replica's images, integers `[n]`.

    Returns:
        Keyword arguments in addition to those of `candidates`: `labels` and,
        with several replicas, `labels_global` `[R n]`.
    """
    if replicas.replica_context().count == 1:
        return {"labels": labels}
    labels = tf.cast(labels, tf.int32)  # which every collective can add
    return {"labels": labels, "labels_global": replicas.gather(labels)}
