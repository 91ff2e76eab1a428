"""Checks and normalises z and computes similarities, for all losses."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from simclr_keras import scalars

# The official code's guard against dividing by the norm of a zero row.
SQUARED_NORM_FLOOR = 1e-12


def as_float(tensor: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Casts to float32, the lowest precision of losses; keeps float64."""
    tensor = tf.convert_to_tensor(tensor)
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def normalize_rows(z: tf.Tensor) -> tf.Tensor:
    """Divides the rows of z `[N, d]` by `sqrt(max(|row|^2, 1e-12))`."""
    return tf.math.l2_normalize(z, axis=1, epsilon=SQUARED_NORM_FLOOR)


def prepare_views(
    z_a: tf.Tensor,
    z_b: tf.Tensor,
    normalize: bool,
    z_a_global: tf.Tensor | None = None,
    z_b_global: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Checks, casts and normalises the arguments of a contrastive loss.

    Args:
        z_a: Anchors of the first view, `[n, d]`, any float type.
        z_b: Anchors of the second view, `[n, d]`; row i is the partner of row
            i of `z_a`.
        normalize: Whether to divide each row by its L2 norm.
        z_a_global: Candidates of the first view, `[N, d]`; default: `z_a`.
        z_b_global: Candidates of the second view, `[N, d]`; default: `z_b`.

    Returns:
        The four tensors in this order, float32 (float64 if `z_a` is).

    Raises:
        ValueError: A tensor is not `[rows, d]`, partners differ in shape, or
            only one of the two global tensors is given.
    """
    if (z_a_global is None) != (z_b_global is None):
        raise ValueError(
            "z_a_global and z_b_global belong together: pass both or neither."
            f" Received: z_a_global={z_a_global}, z_b_global={z_b_global}"
        )
    local = [as_float(z_a), as_float(z_b)]
    _check_partners("z_a", "z_b", *local)
    if normalize:
        local = [normalize_rows(z) for z in local]
    if z_a_global is None:
        return (*local, *local)
    everywhere = [as_float(z_a_global), as_float(z_b_global)]
    _check_partners("z_a_global", "z_b_global", *everywhere)
    if normalize:
        everywhere = [normalize_rows(z) for z in everywhere]
    return (*local, *everywhere)


def anchor_rows(z_local: tf.Tensor, first_anchor: int | tf.Tensor) -> tf.Tensor:
    """Rows of the candidates that hold the anchors `[n, d]`, `int32` `[n]`.

    Args:
        z_local: Anchors `[n, d]`.
        first_anchor: Row that holds the first one; an int or a scalar integer
            tensor.
    """
    return tf.cast(first_anchor, tf.int32) + tf.range(tf.shape(z_local)[0])


def own_columns(
    z_local: tf.Tensor, z_global: tf.Tensor, first_anchor: int | tf.Tensor = 0
) -> tf.Tensor:
    """Mask of the candidates that show the anchor's own image.

    Args:
        z_local: Anchors `[n, d]`.
        z_global: Candidates `[N, d]`.
        first_anchor: Row of `z_global` that holds the first anchor; an int or
            a scalar integer tensor.

    Returns:
        Boolean `[n, N]`, true at `[i, first_anchor + i]`.
    """
    rows = anchor_rows(z_local, first_anchor)
    columns = tf.range(tf.shape(z_global)[0])
    return rows[:, tf.newaxis] == columns[tf.newaxis, :]


def similarities(anchors: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Inner products of all anchors with all candidates, `[n, N]`."""
    # [n, d] x [d, N] -> [n, N]
    return tf.matmul(anchors, candidates, transpose_b=True)


def paired_similarities(anchors: tf.Tensor, positives: tf.Tensor) -> tf.Tensor:
    """Inner product of each anchor with its positive, `[n]`."""
    # [n, d] . [n, d] -> [n]
    return tf.reduce_sum(anchors * positives, axis=1)


def mean_over_negatives(terms: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    """Mean of `[n, N]` over the candidates that are not the anchor's own."""
    count = tf.cast(tf.shape(terms)[1] - 1, terms.dtype)
    total = tf.reduce_sum(tf.where(own, tf.zeros_like(terms), terms), axis=1)
    return tf.math.divide_no_nan(total, count)


def semi_hard_negative(
    to_candidates: tf.Tensor, to_positive: tf.Tensor, own: tf.Tensor
) -> tf.Tensor:
    """Similarity to the closest negative that is farther than the positive.

    If every negative is closer than the positive, the least similar one is
    taken instead (as is usual since FaceNet): otherwise an anchor whose
    positive is farthest would get no gradient at all.

    Args:
        to_candidates: Similarities to all candidates, `[n, N]`.
        to_positive: Similarities to the positives, `[n]`.
        own: Boolean `[n, N]`, true where a candidate is the positive.

    Returns:
        `[n]`; the largest float if there is no negative (N = 1).
    """
    dtype = to_candidates.dtype
    farther = tf.logical_and(
        to_candidates < to_positive[:, tf.newaxis], tf.logical_not(own)
    )
    closest_farther = tf.reduce_max(
        tf.where(farther, to_candidates, dtype.min), axis=1
    )
    easiest = tf.reduce_min(tf.where(own, dtype.max, to_candidates), axis=1)
    return tf.where(tf.reduce_any(farther, axis=1), closest_farther, easiest)


def check_positive(name: str, value: float) -> None:
    """Raises ValueError unless `value` is a finite number above zero."""
    if not scalars.is_real(value) or not 0 < value < float("inf"):
        raise ValueError(
            f"{name} must be a finite number above 0. Received: {name}={value}"
        )


def _check_partners(name_a, name_b, z_a, z_b):
    for name, z in ((name_a, z_a), (name_b, z_b)):
        if z.shape.rank != 2:
            raise ValueError(
                f"{name} must be a matrix [rows, dimensions]."
                f" Received: {name} of shape {z.shape}"
            )
    if not z_a.shape.is_compatible_with(z_b.shape) or z_a.dtype != z_b.dtype:
        raise ValueError(
            f"{name_a} and {name_b} hold the two views of the same images, row"
            " by row, so they must agree in shape and dtype. Received:"
            f" {z_a.shape} {z_a.dtype.name} and {z_b.shape} {z_b.dtype.name}"
        )
