"""Composites transparent pixels onto white, alike in TensorFlow and NumPy."""

import numpy as np
import tensorflow as tf


def on_white(colors, alpha):
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
