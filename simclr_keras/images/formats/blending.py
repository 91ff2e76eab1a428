"""Converts arrays to RGB, and composites transparent pixels onto white."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def on_white(
    colors: tf.Tensor | np.ndarray, alpha: tf.Tensor | np.ndarray
) -> tf.Tensor | np.ndarray:
    """Composites colours with an alpha channel onto a white background.

    Args:
        colors: `uint8` `[..., C]`, a tensor or an array.
        alpha: `uint8` `[..., 1]`, a tensor or an array; 0 is transparent.

    Returns:
        `uint8` `[..., C]`: means of the colours and white, weighted by alpha
        and rounded.
    """
    if isinstance(colors, np.ndarray):
        colors, alpha = colors.astype(np.uint16), alpha.astype(np.uint16)
        return _blend(colors, alpha).astype(np.uint8)
    colors, alpha = tf.cast(colors, tf.int32), tf.cast(alpha, tf.int32)
    return tf.cast(_blend(colors, alpha), tf.uint8)


def _blend(colors, alpha):
    return (colors * alpha + 255 * (255 - alpha) + 127) // 255


def array_to_uint8(images: np.ndarray) -> np.ndarray:
    """Converts an array of any shape to `uint8`.

    Args:
        images: `uint8`; `uint16`, whose lower byte is dropped; or float in
            [0, 1].
    """
    if images.dtype == np.uint16:
        return (images >> 8).astype(np.uint8)
    if images.dtype != np.uint8:
        return np.round(images * 255.0).astype(np.uint8)
    return images


def array_to_rgb(images: np.ndarray) -> np.ndarray:
    """Converts an array of 1 to 4 channels to `uint8` RGB.

    Args:
        images: array `[..., H, W, C]`: `uint8`; `uint16`, whose lower byte is
            dropped; or float in [0, 1]. One channel is grey, two are grey and
            alpha, four are RGB and alpha. Transparent pixels are composited
            onto white.

    Returns:
        `uint8` array `[..., H, W, 3]`.
    """
    images = array_to_uint8(images)
    channels = images.shape[-1]
    if channels in (2, 4):
        images = on_white(images[..., :-1], images[..., -1:])
    if channels < 3:
        images = np.repeat(images, 3, axis=-1)
    return images
