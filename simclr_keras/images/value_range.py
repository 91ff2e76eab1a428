"""Detects float images outside of [0, 1], which clipping would spoil."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras.distribute import replicas

# How far a bicubic or Lanczos resize may overshoot [0, 1]. Views clip such
# values; pixels further outside were scaled to another range.
OVERSHOOT = 0.25


def check_eagerly(images: tf.Tensor) -> None:
    """Raises a ValueError for eager tensors of images out of range.

    In a graph this does nothing; `models.pixels.PixelWatch` checks there.

    Args:
        images: tensor, of any dtype.
    """
    if not tf.executing_eagerly() or not images.dtype.is_floating:
        return
    if images.shape.num_elements():
        refuse(statistics(images))


def statistics(images: tf.Tensor) -> tf.Tensor:
    """Measures the range of float images, over all replicas.

    Args:
        images: float tensor of any shape.

    Returns:
        float32 tensor `[4]`: 1 if the images must be refused, else 0; lowest
        and highest finite pixel; 1 if all pixels are finite, else 0.
    """
    images = tf.cast(images, tf.float32)
    finite = tf.math.is_finite(images)
    images = tf.where(finite, images, 0.5)
    low, high = tf.reduce_min(images), tf.reduce_max(images)
    finite = tf.reduce_all(finite)
    if replicas.replica_context().count > 1:
        mine = tf.stack([low, high, tf.cast(finite, tf.float32)])
        rows = replicas.gather(mine[tf.newaxis])  # [R, 3]
        low, high = tf.reduce_min(rows[:, 0]), tf.reduce_max(rows[:, 1])
        finite = tf.reduce_min(rows[:, 2]) > 0
    bad = (low < -OVERSHOOT) | (high > 1 + OVERSHOOT) | ~finite
    bad, finite = (tf.cast(x, tf.float32) for x in (bad, finite))
    return tf.stack([bad, low, high, finite])


def refuse(values: tf.Tensor) -> None:
    """Raises a ValueError if `statistics` show pixels out of range.

    Args:
        values: tensor `[4]` of `statistics`.
    """
    bad, low, high, finite = (float(x) for x in tf.unstack(values))
    if not bad:
        return
    if not finite:
        raise ValueError(
            "images must be finite: one pixel that is NaN makes every weight"
            " NaN. Leave the image out, or repair it (np.nan_to_num). Received:"
            " pixels that are NaN or infinite; the others lie in"
            f" [{low:.4g}, {high:.4g}]"
        )
    raise ValueError(
        f"images of floats must lie in [0, 1]; {_remedy(low, high)}. Received:"
        f" values from {low:.4g} to {high:.4g}"
    )


def _remedy(low, high):
    if low >= -OVERSHOOT and high > 2:
        tops = (255, 1023, 4095, 16383, 65535)  # a resize may overshoot them
        top = next((t for t in tops if high <= (1 + OVERSHOOT) * t), None)
        scale = f"{top}.0" if top else "their largest value"
        return (
            f"divide them by {scale} (data.map(lambda x, y: (x / {scale}, y)),"
            " or keras.layers.Rescaling in it)"
        )
    if -1.0 - OVERSHOOT <= low and high <= 1 + OVERSHOOT:
        return "of images in [-1, 1], give (x + 1) / 2"
    return (
        "give them before they are standardised: an encoder that wants mean 0"
        " and deviation 1 gets a keras.layers.Normalization in front"
    )
