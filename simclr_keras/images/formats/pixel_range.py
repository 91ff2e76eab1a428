"""Scales images of more than 8 bits by the range of values that they use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

FULL_RANGE = (0, 65535)  # of 16 bits
_VALUES_AT_ONCE = 2**24
# Largest pixel values of cameras with 10, 12 or 14 bits.
_TOPS = (1023, 4095, 16383)
_HOW_TO_SET = (
    "Command line: --pixel_range={0},{1}; Python: pixel_range=({0}, {1})"
)


def check(value: Sequence[float] | None) -> tuple[float, float] | None:
    """Returns a range as a pair of floats (low, high); None stays None.

    Raises:
        ValueError: it is not a pair of numbers with low < high.
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


def to_uint8(
    images: np.ndarray | tf.Tensor, pixel_range: tuple[float, float]
) -> np.ndarray | tf.Tensor:
    """Maps a range of values to 8 bits and clips the values outside.

    Args:
        images: array or tensor of numbers.
        pixel_range: pair (low, high), which become 0 and 255.

    Returns:
        `uint8` array or tensor of the same shape.
    """
    low, high = pixel_range
    if images.dtype in (np.uint16, tf.uint16) and (low, high) == FULL_RANGE:
        # Drops the lower eight bits, as without a range.
        if tf.is_tensor(images):
            return tf.cast(tf.bitwise.right_shift(images, 8), tf.uint8)
        return (images >> 8).astype(np.uint8)
    if not tf.is_tensor(images):
        return _array_to_uint8(images, low, high)
    scaled = (tf.cast(images, tf.float32) - low) * (255.0 / (high - low))
    return tf.cast(tf.clip_by_value(tf.round(scaled), 0, 255), tf.uint8)


def _array_to_uint8(images, low, high):
    """`to_uint8` of an array, in parts, as float64 takes up to eight times."""
    found = np.empty(images.shape, np.uint8)
    step = max(1, _VALUES_AT_ONCE * len(images) // max(images.size, 1))
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        values = images[part].astype(np.float64)
        scaled = (values - low) * (255.0 / (high - low))
        found[part] = np.clip(np.round(scaled), 0, 255).astype(np.uint8)
    return found


def tensor_to_uint8(
    images: tf.Tensor, pixel_range: tuple[float, float] | None
) -> tf.Tensor:
    """Maps a tensor of any type of images to 8 bits.

    Args:
        images: tensor of numbers; `uint8` is returned as it is without a range.
        pixel_range: pair (low, high), which become 0 and 255; None: the range
            of the type, (0, 65535) of `uint16` and (0, 1) of floats.

    Returns:
        `uint8` tensor of the same shape.
    """
    if pixel_range is None:
        if images.dtype == tf.uint8:
            return images
        pixel_range = FULL_RANGE if images.dtype == tf.uint16 else (0.0, 1.0)
    return to_uint8(images, pixel_range)


def unit_to_uint8(images: np.ndarray) -> np.ndarray:
    """Array of floats in [0, 1] as `uint8`; clips the values outside."""
    return (np.clip(images, 0, 1) * 255 + 0.5).astype(np.uint8)


def colors(images: np.ndarray | tf.Tensor) -> np.ndarray | tf.Tensor:
    """Images `[..., C]` without alpha, which says nothing about brightness."""
    return images[..., :-1] if images.shape[-1] in (2, 4) else images


def refuse_dark(highest: int, count: int, name: str) -> None:
    """Raises a ValueError if 16-bit images use less than half their range.

    Args:
        highest: largest value of any of the images.
        count: number of images that were examined.
        name: name of the data set.
    """
    full = FULL_RANGE[1]
    if highest > full // 2:
        return
    top = next((t for t in _TOPS if highest <= t), full)
    raise ValueError(
        f"16-bit images must use their whole range, 0 to {full}, or it must be"
        f" said which: as it is, their white would be {highest // 256} of 255."
        f" {_HOW_TO_SET.format(0, top)}; 0,{full} takes them as they are."
        f" Received: values up to {highest} in {count} images of {name}"
    )


def is_deep_png(encoded: bytes) -> bool:
    """Whether bytes have the header of a PNG with 16 bits per sample."""
    return encoded[:4] == b"\x89PNG" and encoded[24:25] == b"\x10"
