"""Decodes TIFF files of any number of channels, through tifffile.

Bands are the samples of one page, or pages of one size. tifffile runs in
Python, so exported graphs do not decode TIFF.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from simclr_keras.images.formats import blending
from simclr_keras.images.formats import orientation
from simclr_keras.images.formats import pixel_range as ranges

EXTENSIONS = (".tif", ".tiff")
# First bytes of TIFF and BigTIFF, little and big endian.
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 274
_WHITE_IS_ZERO, _PALETTE = 0, 3


def is_tiff(encoded: bytes) -> bool:
    """Whether bytes begin like a TIFF file."""
    return encoded[:4] in SIGNATURES


def check_installed() -> None:
    """Raises an ImportError if tifffile is not installed."""
    try:
        import tifffile  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "TIFF files need tifffile: install the extra tiff, pip install"
            f" '.[tiff]' in a clone of simclr_keras ({error})"
        ) from error


def describe(
    encoded: bytes, max_pixels: int
) -> tuple[tuple[int, int, int], np.dtype]:
    """Reads shape and type from the header of a TIFF file.

    Args:
        encoded: content of the file.
        max_pixels: largest height times width that is allowed.

    Returns:
        Pair of (height, width, channels) of the upright image, and the dtype
        of its values.

    Raises:
        ImportError: tifffile is not installed.
        ValueError: the file is damaged, too large, or not an image; the text is
            the reason.
    """
    with _opened(encoded) as series:
        return _described(series, max_pixels), np.dtype(series.dtype)


def read(
    encoded: bytes, max_pixels: int, channels: int | None = None
) -> np.ndarray:
    """Reads the values of a TIFF file, upright, channels last.

    Args:
        encoded: content of the file.
        max_pixels: largest height times width that is allowed.
        channels: number that the file must have. Default None: any.

    Returns:
        Array `[H, W, C]` in the type of the file, `uint8` for one of 1 bit.

    Raises:
        ImportError: tifffile is not installed.
        ValueError: see `describe`; or the file has another number of channels.
    """
    with _opened(encoded) as series:
        height, width, found = _described(series, max_pixels)
        if channels not in (None, found):
            raise ValueError(f"it has {found} channels, not {channels}")
        page = series.keyframe
        image = np.asarray(series.asarray())
        if image.ndim == 2:
            image = image[..., np.newaxis]
        elif _channel_axis(series) == 0:
            image = np.moveaxis(image, 0, -1)
        turn = _orientation_of(page)
        white_is_zero = page.photometric == _WHITE_IS_ZERO
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    if white_is_zero and image.dtype in (np.uint8, np.uint16):
        image = np.iinfo(image.dtype).max - image
    if orientation.swaps_sides(turn):
        image = image.swapaxes(0, 1)
    if turn in orientation.MIRRORED:
        image = image[:, ::-1]
    if turn in orientation.FLIPPED:
        image = image[::-1]
    if image.shape != (height, width, found):
        raise ValueError("its header gives another size than its values have")
    return np.ascontiguousarray(image)


def to_uint8(
    image: np.ndarray, pixel_range: tuple[float, float] | None
) -> np.ndarray:
    """Maps the values of a TIFF file to 8 bits.

    Args:
        image: array of `read`. Values of 8 bits are returned as they are.
        pixel_range: pair (low, high), the values that become 0 and 255; None:
            0 and 65535 for `uint16`, 0 and 1 for floats.

    Returns:
        `uint8` array of the same shape.

    Raises:
        ValueError: values are not finite, or need a range; the text is the
            reason.
    """
    if image.dtype == np.uint8:
        return image
    floating = np.issubdtype(image.dtype, np.floating)
    if floating and not np.isfinite(image).all():
        raise ValueError("it has values that are NaN or infinite")
    if pixel_range is not None:
        return ranges.to_uint8(image, pixel_range)
    low, high = image.min(), image.max()
    in_range = floating and low >= 0 and high <= 1
    if image.dtype != np.uint16 and not in_range:
        raise ValueError(
            f"it has values of {image.dtype} from {low:g} to {high:g}, whose"
            " black and white pixel_range must state (--pixel_range)"
        )
    return blending.array_to_uint8(image)


def decode(
    encoded: bytes,
    max_pixels: int,
    *,
    pixel_range: tuple[float, float] | None,
    channels: int,
) -> np.ndarray:
    """Decodes a TIFF file to 8 bits.

    Args:
        encoded: content of the file.
        max_pixels: see `describe`.
        pixel_range: see `to_uint8`.
        channels: number that the file must have.

    Returns:
        `uint8` array `[H, W, channels]`.

    Raises:
        ImportError: tifffile is not installed.
        ValueError: see `read` and `to_uint8`.
    """
    return to_uint8(read(encoded, max_pixels, channels), pixel_range)


def problem(
    encoded: bytes, max_pixels: int, pixel_range: tuple[float, float] | None
) -> str:
    """Says why a TIFF file cannot be decoded; "" if it can.

    Args:
        encoded: content of the file.
        max_pixels: see `describe`.
        pixel_range: see `to_uint8`.
    """
    try:
        to_uint8(read(encoded, max_pixels), pixel_range)
    except (ValueError, ImportError) as error:
        return str(error)
    return ""


@contextlib.contextmanager
def _opened(encoded: bytes) -> Iterator[Any]:
    """Opens the first series of a file; its errors are ValueErrors."""
    check_installed()
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(encoded)) as file:
            yield file.series[0]
    except ValueError:  # ours, or that of a missing codec, which names it
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f"it is corrupt or cut short ({error})") from error


def _described(series, max_pixels):
    """(height, width, channels) of a series; refuses what is no image."""
    shape, axis = tuple(series.shape), _channel_axis(series)
    channels = 1 if axis is None else shape[axis]
    height, width = shape if axis is None else np.delete(shape, axis).tolist()
    if height * width > max_pixels:
        raise ValueError(
            f"it has {height} x {width} pixels, max_pixels={max_pixels}"
        )
    if series.keyframe.photometric == _PALETTE:
        raise ValueError("it has a palette, which is not read from TIFF")
    if orientation.swaps_sides(_orientation_of(series.keyframe)):
        height, width = width, height
    return int(height), int(width), int(channels)


def _channel_axis(series):
    """Axis of the channels: 0, 2, or None for an image of one channel."""
    if series.axes == "YX":
        return None
    if len(series.axes) == 3 and series.axes[1:] == "YX":
        return 0
    if series.axes == "YXS":
        return 2
    raise ValueError(
        f"it has the axes {series.axes} of shape {tuple(series.shape)}; height,"
        " width and channels are read"
    )


def _orientation_of(page):
    tag = page.tags.get(_ORIENTATION)
    value = 1 if tag is None else int(tag.value)
    return value if 1 <= value <= 8 else 1
