"""Lays transparent pixels on white, the same in TensorFlow and in NumPy."""

import numpy as np
import tensorflow as tf


def on_white(colors, alpha):
    """Colours and their alpha as they look on white paper.

    Args:
        colors: `uint8` `[..., C]`, tensor or array.
        alpha: `uint8` `[..., 1]`, likewise; 0 is transparent.

    Returns:
        `uint8` `[..., C]`: rounded means of the colours and white.
    """
    if isinstance(colors, np.ndarray):
        colors, alpha = colors.astype(np.uint16), alpha.astype(np.uint16)
        return _blend(colors, alpha).astype(np.uint8)
    colors, alpha = tf.cast(colors, tf.int32), tf.cast(alpha, tf.int32)
    return tf.cast(_blend(colors, alpha), tf.uint8)


def _blend(colors, alpha):
    return (colors * alpha + 255 * (255 - alpha) + 127) // 255
