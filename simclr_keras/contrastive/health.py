"""Measures the spread of z to reveal a collapse of the representation."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import similarity


def representation_health(z_a: tf.Tensor, z_b: tf.Tensor) -> dict:
    """Computes four measures that reveal a collapse before the loss does.

    They are computed on rows of unit length, so the scale of z does not
    matter, and they stay finite for collapsed z. Works eagerly and in graphs.

    Args:
        z_a: First view, `[N, d]`, any float type.
        z_b: Second view, `[N, d]`; row i shows the image of row i of `z_a`.

    Returns:
        Dict of float32 scalars without gradient:
        `z_std`: standard deviation of each dimension over the 2N rows, mean
            over dimensions. 0: collapsed; 1/sqrt(d): spread evenly (SimSiam,
            arXiv 2011.10566, figure 2).
        `alignment`: mean squared distance of the two views of an image, in
            [0, 4]; lower is better (Wang & Isola, arXiv 2005.10242, section
            4.1, alpha = 2).
        `uniformity`: log of the mean of exp(-2 |x - y|^2) over pairs of
            different images within a view, mean of both views, in [-8, 0];
            lower is better (the same, t = 2).
        `effective_rank`: exp of the entropy of the normalised singular values
            of the 2N rows, in [1, min(2N, d)]: how many directions are in use
            (Roy & Vetterli 2007; not centred, so a collapse shows as 1).

    Raises:
        ValueError: Shapes or dtypes do not fit.
    """
    a, b, _, _ = similarity.prepare_views(
        tf.stop_gradient(z_a), tf.stop_gradient(z_b), normalize=True
    )
    rows = tf.concat([a, b], axis=0)  # [2N, d]
    health = {
        "z_std": tf.reduce_mean(tf.math.reduce_std(rows, axis=0)),
        "alignment": tf.reduce_mean(
            tf.reduce_sum(tf.math.squared_difference(a, b), axis=1)
        ),
        "uniformity": (_uniformity(a) + _uniformity(b)) / 2,
        "effective_rank": _effective_rank(rows),
    }
    return {name: tf.cast(value, tf.float32) for name, value in health.items()}


def _uniformity(rows):
    """Log mean of exp(-2 |x - y|^2) over pairs of different rows."""
    squares = tf.reduce_sum(tf.square(rows), axis=1)
    count = tf.shape(rows)[0]

    def log_sums(part, part_squares, numbers):
        """Log-sums over all rows for a part of the rows, `[m]`."""
        products = similarity.similarities(part, rows)  # [m, d] x [d, N]
        distances = part_squares[:, tf.newaxis] + squares - 2 * products
        exponents = -2 * tf.nn.relu(distances)
        is_same_row = numbers[:, tf.newaxis] == tf.range(count)
        exponents = tf.where(is_same_row, rows.dtype.min, exponents)
        return tf.reduce_logsumexp(exponents, axis=1)

    exponents = chunking.map_rows(
        log_sums, [rows, squares, tf.range(count)], chunking.shape(rows)[0]
    )
    pairs = tf.cast(tf.maximum(count * (count - 1), 1), rows.dtype)
    log_mean = tf.reduce_logsumexp(exponents) - tf.math.log(pairs)
    return tf.where(count > 1, log_mean, 0.0)


def _effective_rank(rows):
    """Exp of the entropy of the normalised singular values.

    The singular values are the square roots of the eigenvalues of rows^T rows,
    a d x d matrix for any batch size. The root enlarges rounding errors: in
    float32 a singular value of zero would become 3e-4 of the largest, hence
    float64.
    """
    rows = tf.cast(rows, tf.float64)
    gram = tf.matmul(rows, rows, transpose_a=True)  # [d, 2N] x [2N, d]
    # The solver raises an unrelated error for NaN; the result is NaN instead.
    finite = tf.reduce_all(tf.math.is_finite(gram))
    gram = tf.where(finite, gram, tf.eye(tf.shape(gram)[0], dtype=gram.dtype))
    eigenvalues = tf.nn.relu(tf.linalg.eigvalsh(gram))
    # Removes rounding noise, as numpy.linalg.matrix_rank does.
    noise = tf.reduce_max(eigenvalues) * 1e-13
    values = tf.sqrt(tf.where(eigenvalues > noise, eigenvalues, 0.0))
    shares = tf.math.divide_no_nan(values, tf.reduce_sum(values))
    entropy = -tf.reduce_sum(tf.math.xlogy(shares, shares))
    nan = tf.constant(float("nan"), entropy.dtype)
    return tf.where(finite, tf.exp(entropy), nan)
