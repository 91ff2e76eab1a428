"""Checks arguments of views and of the image functions."""

from __future__ import annotations

import numbers
from collections.abc import Collection
from typing import Any

import tensorflow as tf

from simclr_keras import scalars

# Images with a shorter side of at most this many pixels are by default neither
# blurred in training nor cropped in evaluation (the paper's CIFAR-10 recipe,
# appendix B.9).
SMALL_IMAGE = 32
# Smallest side, in pixels, of images for training and evaluation.
LEAST_SIZE = 8


def size(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Returns `(height, width)` in pixels of an int or a pair of ints."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(
        scalars.is_whole(x) and x >= LEAST_SIZE for x in pair
    ):
        raise ValueError(
            f"`{name}` must be an integer of at least {LEAST_SIZE}, or a pair"
            " (height, width) of them, in pixels: smaller images show nothing"
            f" to compare. Received: {name}={value!r}"
        )
    return tuple(int(x) for x in pair)


def number(
    name: str, value: float, low: float = 0.0, high: float = float("inf")
) -> float:
    """Returns `value` as a float if it lies in `[low, high]`."""
    if not isinstance(value, numbers.Real) or not low <= value <= high:
        rule = f"at least {low}" if high == float("inf") else None
        rule = rule or f"in [{low}, {high}]"
        raise ValueError(
            f"`{name}` must be a number {rule}. Received: {name}={value!r}"
        )
    return float(value)


def interval(
    name: str, value: tuple[float, float], high: float = float("inf")
) -> tuple[float, float]:
    """Returns `(low, high)` as floats if 0 < low <= high <= the bound."""
    if (
        not isinstance(value, (tuple, list))
        or len(value) != 2
        or not all(isinstance(x, numbers.Real) for x in value)
        or not 0 < value[0] <= value[1] <= high
    ):
        bound = "" if high == float("inf") else f" <= {high}"
        raise ValueError(
            f"`{name}` must be a pair (low, high) with 0 < low <= high{bound}."
            f" Received: {name}={value!r}"
        )
    return float(value[0]), float(value[1])


def choice(name: str, value: Any, allowed: Collection) -> Any:
    """Returns `value` if it is one of the values in `allowed`."""
    if not any(value is x or value == x for x in allowed):
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, allowed))}."
            f" Received: {name}={value!r}"
        )
    return value


def view_shape(
    name: str, images: tf.Tensor, size: tuple[int, int], channels: int = 3
) -> None:
    """Raises a ValueError if the static shape is not `[B, *size, channels]`."""
    if not images.shape[1:].is_compatible_with([*size, channels]):
        raise ValueError(
            f"{name} must have the shape [B, {size[0]}, {size[1]}, {channels}]"
            f" of `image_size`. Received: shape {images.shape}"
        )


def view_channels(images: tf.Tensor, channels: int = 3) -> None:
    """Raises a ValueError if the static shape has another last dimension."""
    if images.shape[-1] in (channels, None):
        return
    if channels != 3:
        raise ValueError(
            f"`images` of a view must have the {channels} channels of its"
            f" argument `channels`. Received: shape {images.shape}"
        )
    raise ValueError(
        "`images` of a view must have three channels, RGB; repeat grey ones"
        " (tf.image.grayscale_to_rgb), leave out alpha; or state other channels"
        f" by the argument `channels`. Received: shape {images.shape}"
    )


def check_max_pixels(max_pixels: int) -> int:
    """Returns `max_pixels` if it is a positive whole number.

    Raises:
        ValueError: it is something else.
    """
    number("max_pixels", max_pixels, 1)
    if max_pixels != int(max_pixels):
        raise ValueError(
            "`max_pixels` must be a whole number of pixels. Received:"
            f" max_pixels={max_pixels!r}"
        )
    return int(max_pixels)
