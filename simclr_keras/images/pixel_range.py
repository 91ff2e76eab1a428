"""The range of values that images of more than 8 bits use, stated or told."""

import numpy as np
import tensorflow as tf

_WHOLE = (0, 65535)
# A camera's 10, 12 or 14 bits, as one would state them.
_TOPS = (1023, 4095, 16383)
_STATE = "Command line: --pixel_range={0},{1}; Python: pixel_range=({0}, {1})"


def check(value):
    """Returns the pair (low, high) of a stated range, or None.

    Raises:
        ValueError: it is no pair of numbers with low < high.
    """
    if value is None:
        return None
    try:
        low, high = (float(x) for x in value)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if isinstance(value, str) or not (
        np.isfinite([low, high]).all() and low < high
    ):
        raise ValueError(
            "pixel_range must be a pair (low, high) of numbers with low < high:"
            " the values that are black and white. Received:"
            f" pixel_range={value!r}"
        )
    return low, high


def to_uint8(images, pixel_range):
    """Values of a range as 8 bits; what lies outside is clipped.

    Args:
        images: array or tensor of numbers.
        pixel_range: pair (low, high), which become 0 and 255.

    Returns:
        The same as `uint8`.
    """
    low, high = pixel_range
    if images.dtype in (np.uint16, tf.uint16) and (low, high) == _WHOLE:
        # As without a range: the lower eight bits are dropped.
        if tf.is_tensor(images):
            return tf.cast(tf.bitwise.right_shift(images, 8), tf.uint8)
        return (images >> 8).astype(np.uint8)
    if not tf.is_tensor(images):
        scaled = (images.astype(np.float64) - low) * (255.0 / (high - low))
        return np.clip(np.round(scaled), 0, 255).astype(np.uint8)
    scaled = (tf.cast(images, tf.float32) - low) * (255.0 / (high - low))
    return tf.cast(tf.clip_by_value(tf.round(scaled), 0, 255), tf.uint8)


def colors(images):
    """Images `[..., C]` without their alpha, which says nothing of darkness."""
    return images[..., :-1] if images.shape[-1] in (2, 4) else images


def refuse_dark(highest, count, name):
    """Raises a ValueError where 16-bit images use less than half their range.

    Args:
        highest: largest value of any of them.
        count: how many were looked at.
        name: of the data set.
    """
    if highest > _WHOLE[1] // 2:
        return
    top = next((t for t in _TOPS if highest <= t), _WHOLE[1])
    raise ValueError(
        f"16-bit images must use their range, 0 to {_WHOLE[1]}, or it must be"
        f" said which: as it is, their white would be {highest // 256} of 255."
        f" {_STATE.format(0, top)}; 0,{_WHOLE[1]} takes them as they are."
        f" Received: values up to {highest} in {count} images of {name}"
    )


def is_deep_png(encoded):
    """Whether the bytes are a PNG of 16 bits, by its header."""
    return encoded[:4] == b"\x89PNG" and encoded[24:25] == b"\x10"
