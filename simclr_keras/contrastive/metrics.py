"""How well views find their partners: what stands beside the loss in a log."""

import tensorflow as tf

from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import similarity

# Keeps the entropy finite where a probability vanishes, as in the official
# code, whose value this is.
ENTROPY_FLOOR = 1e-8


def contrastive_metrics(
    z_a,
    z_b,
    temperature=0.1,
    normalize=True,
    *,
    z_a_global=None,
    z_b_global=None,
    first_anchor=0,
):
    """Accuracy and entropy of finding b among the N second views, from a.

    As in the official code the anchors are the rows of view a, the candidates
    the rows of view b only. Where candidates tie, the first one counts as
    found; a similarity that is not a number counts as a miss.

    Args:
        z_a: Anchors, `[n, d]`, any float type.
        z_b: Their partners, `[n, d]`.
        temperature: tau, above 0; matters to the entropy only. Default 0.1.
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
    own_columns = tf.cast(first_anchor, tf.int32) + tf.range(tf.shape(a)[0])

    def values(anchors, own):
        """Rank and entropy of some anchors, `[m, 2]`."""
        # [m, d] x [d, N] -> [m, N]
        logits = similarity.similarities(anchors, b_global)
        rank = _ranks(logits, own)
        return tf.stack([rank, _entropies(logits / temperature)], axis=1)

    rank, entropy = tf.unstack(
        chunking.map_rows(
            values, [a, own_columns], chunking.shape(b_global)[0]
        ),
        axis=1,
    )
    return {
        "contrastive_accuracy": _share(rank, 1),
        "contrastive_top5": _share(rank, 5),
        "contrastive_entropy": tf.reduce_mean(entropy),
    }


def _ranks(logits, own):
    """How many candidates come before the own one, `[m]`, as floats."""
    positive = tf.gather(logits, own[:, tf.newaxis], batch_dims=1)
    columns = tf.range(tf.shape(logits)[1])
    tied_behind = (logits == positive) & (columns > own[:, tf.newaxis])
    # Counts the beaten, not the better: comparisons with NaN are all false.
    beaten = tf.cast((logits < positive) | tied_behind, logits.dtype)
    others = tf.cast(tf.shape(logits)[1] - 1, logits.dtype)
    return others - tf.reduce_sum(beaten, axis=1)


def _entropies(logits):
    p = tf.nn.softmax(logits, axis=1)
    return -tf.reduce_sum(p * tf.math.log(p + ENTROPY_FLOOR), axis=1)


def _share(rank, most):
    return tf.reduce_mean(tf.cast(rank < most, rank.dtype))
