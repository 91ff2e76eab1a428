"""Shows images of any number of channels as RGB."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# Percentiles of the shown values that become black and white.
_BLACK, _WHITE = 2, 98


def check(
    show_channels: Sequence[int] | None,
    channels: int,
    name: str = "show_channels",
) -> None:
    """Checks the channels that pictures show.

    Args:
        show_channels: three numbers from 1, or None.
        channels: number of channels of the images.
        name: name of the argument in the error. Defaults to "show_channels".

    Raises:
        ValueError: it is not three numbers of existing channels.
    """
    if show_channels is None:
        return
    numbers = tuple(show_channels)
    if len(numbers) != 3 or not all(1 <= x <= channels for x in numbers):
        raise ValueError(
            f"{name} must be three numbers of channels from 1 to {channels},"
            " shown as red, green and blue. Received:"
            f" {','.join(map(str, numbers))}"
        )


@dataclasses.dataclass(frozen=True)
class Bands:
    """Converts images to RGB: chooses three channels, and stretches them.

    Attributes:
        channels: three indices from 0 of the channels; None: images are RGB
            and are returned as they are.
        low: three values in [0, 1] that become black.
        high: three values in [0, 1] that become white.
    """

    channels: tuple = None
    low: tuple = (0.0, 0.0, 0.0)
    high: tuple = (1.0, 1.0, 1.0)

    def __call__(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
        """Converts images `[..., C]`, uint8 or float in [0, 1], to `[..., 3]`.

        uint8 stays uint8; floats become float32 and are clipped to [0, 1].
        """
        if self.channels is None:
            return images
        images = np.asarray(images)
        whole = images.dtype == np.uint8
        shown = _floats(images[..., self.channels])
        low, high = (np.array(x, np.float32) for x in (self.low, self.high))
        shown = np.clip((shown - low) / (high - low), 0.0, 1.0)
        return np.round(shown * 255).astype(np.uint8) if whole else shown

    def text(self) -> str:
        """Says what is shown; "" for RGB."""
        if self.channels is None:
            return ""
        numbers = [str(x + 1) for x in self.channels]
        what = f"channels {', '.join(numbers)} as red, green and blue"
        if len({*numbers}) == 1:
            what = f"channel {numbers[0]} in grey"
        return (
            f"Shown: {what}, from percentile {_BLACK} (black) to {_WHITE}"
            " (white)."
        )


def bands_of(
    images: np.ndarray | tf.Tensor, show_channels: Sequence[int] | None = None
) -> Bands:
    """Makes the `Bands` that suit some images.

    Args:
        images: `[..., C]`, uint8 in [0, 255] or float in [0, 1], a sample of
            those to be shown. Each shown channel is stretched from its 2nd to
            its 98th percentile.
        show_channels: three numbers from 1. Defaults to None: RGB is shown as
            it is; of more channels the first three, of one or two the first in
            grey.

    Raises:
        ValueError: see `check`.
    """
    count = images.shape[-1]
    check(show_channels, count)
    if show_channels is None and count == 3:
        return Bands()
    channels = (0, 1, 2) if count >= 3 else (0, 0, 0)
    if show_channels is not None:
        channels = tuple(x - 1 for x in show_channels)
    shown = _floats(np.asarray(images)[..., channels]).reshape(-1, 3)
    low, high = np.percentile(shown, [_BLACK, _WHITE], axis=0)
    flat = high - low < 1 / 255  # nothing to stretch
    low, high = np.where(flat, 0.0, low), np.where(flat, 1.0, high)
    return Bands(channels, tuple(low.tolist()), tuple(high.tolist()))


def _floats(images):
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    return images.astype(np.float32)
