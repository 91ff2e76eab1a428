"""Checks the number of channels that images are stated to have."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras import scalars

RGB = 3


def check(channels: int | None, name: str = "channels") -> int | None:
    """Returns a stated number of channels; None stays None, which is RGB.

    Args:
        channels: the number, or None.
        name: name of the argument, for the error. Default `"channels"`.

    Raises:
        ValueError: it is not a whole number of at least 1.
    """
    if channels is None:
        return None
    if not scalars.is_whole(channels) or channels < 1:
        raise ValueError(
            f"`{name}` must be a whole number of at least 1, the channels of"
            f" every image, or None for RGB. Received: {name}={channels!r}"
        )
    return int(channels)


def of(shape: tf.TensorShape) -> int:
    """Number of channels of a static shape `[..., C]`; 3 if it is unknown."""
    return shape[-1] or RGB


def counted(channels: int) -> str:
    """Text such as "1 channel" or "13 channels"."""
    return f"{channels} channel{'s' * (channels != 1)}"


def mismatch(name: str, found: int, channels: int) -> ValueError:
    """Error about an image that has other channels than those stated.

    Args:
        name: name of the image, or of the data set if all have as many.
        found: channels of the image.
        channels: the stated number.

    Returns:
        `ValueError`, to be raised.
    """
    return ValueError(
        f"channels={channels} must be the number of channels of every image;"
        f" --channels={found} takes images like this one. Received: {name},"
        f" which has {counted(found)}"
    )
