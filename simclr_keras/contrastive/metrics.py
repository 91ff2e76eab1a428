"""Measures how well views find their partners, for the logs of training."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import similarity

# Keeps the entropy finite if a probability vanishes; the official code's value.
ENTROPY_FLOOR = 1e-8


def contrastive_metrics(
    z_a: tf.Tensor,
    z_b: tf.Tensor,
    temperature: float = 0.1,
    normalize: bool = True,
    *,
    z_a_global: tf.Tensor | None = None,
    z_b_global: tf.Tensor | None = None,
    first_anchor: int | tf.Tensor = 0,
) -> dict:
    """Accuracy and entropy of retrieving view b of an image by its view a.

    As in the official code the anchors are the rows of view a and the
    candidates only the rows of view b. Among equal similarities the first
    candidate wins; a similarity of NaN counts as a miss.

    Args:
        z_a: Anchors, `[n, d]`, any float type.
        z_b: Their partners, `[n, d]`.
        temperature: tau, above 0; affects the entropy only. Default 0.1.
        normalize: Whether rows are divided by their L2 norm. Default True.
        z_a_global: All rows of view a, `[N, d]`; default: `z_a`.
        z_b_global: All rows of view b, `[N, d]`; default: `z_b`.
        first_anchor: Row of `z_b_global` that equals the first row of `z_b`.

    Returns:
        Dict of scalars: `contrastive_accuracy` and `contrastive_top5` (among
        the best min(5, N)) in [0, 1], `contrastive_entropy` in [0, log N]
        nats. No gradient flows back.

    Raises:
        ValueError: Shapes or dtypes do not fit.
    """
    a, _, _, b_global = similarity.prepare_views(
        tf.stop_gradient(z_a),
        tf.stop_gradient(z_b),
        normalize,
        None if z_a_global is None else tf.stop_gradient(z_a_global),
        None if z_b_global is None else tf.stop_gradient(z_b_global),
    )
    own_columns = similarity.anchor_rows(a, first_anchor)

    def values(anchors, columns):
        """Rank of the partner and entropy for some anchors, `[m, 2]`."""
        # [m, d] x [d, N] -> [m, N]
        logits = similarity.similarities(anchors, b_global)
        rank = _ranks(logits, columns)
        return tf.stack([rank, _entropies(logits / temperature)], axis=1)

    rank, entropy = tf.unstack(
        chunking.map_rows(
            values, [a, own_columns], chunking.shape(b_global)[0]
        ),
        axis=1,
    )
    return {
        "contrastive_accuracy": _top_k_accuracy(rank, 1),
        "contrastive_top5": _top_k_accuracy(rank, 5),
        "contrastive_entropy": tf.reduce_mean(entropy),
    }


def _ranks(logits, partner_columns):
    """Number of candidates that rank before the partner, `[m]`, as floats."""
    partner_columns = partner_columns[:, tf.newaxis]
    positive = tf.gather(logits, partner_columns, batch_dims=1)
    columns = tf.range(tf.shape(logits)[1])
    tied_after = (logits == positive) & (columns > partner_columns)
    # Counts the candidates after the partner, because comparisons with NaN are
    # false: NaN then ranks last.
    after = tf.cast((logits < positive) | tied_after, logits.dtype)
    others = tf.cast(tf.shape(logits)[1] - 1, logits.dtype)
    return others - tf.reduce_sum(after, axis=1)


def _entropies(logits):
    p = tf.nn.softmax(logits, axis=1)
    return -tf.reduce_sum(p * tf.math.log(p + ENTROPY_FLOOR), axis=1)


def _top_k_accuracy(rank, k):
    return tf.reduce_mean(tf.cast(rank < k, rank.dtype))
