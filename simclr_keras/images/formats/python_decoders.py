"""Chooses what decodes the formats that only Python reads: DICOM and TIFF."""

from __future__ import annotations

import types

import numpy as np

from simclr_keras.images.formats import contents
from simclr_keras.images.formats import dicom
from simclr_keras.images.formats import tiff

HEAD = dicom.HEAD  # bytes of a file that `reader_of` looks at
_READERS = (dicom, tiff)


def extensions(channels: int | None = None) -> tuple[str, ...]:
    """Extensions of image files, in lower case.

    Args:
        channels: number that images are stated to have. None, the default:
            images become RGB, and TIFF, which may have any bands, is left out.
    """
    found = contents.EXTENSIONS + dicom.EXTENSIONS
    return found if channels is None else found + tiff.EXTENSIONS


def check_installed(names: list[str]) -> None:
    """Raises an ImportError if files of these names need a missing package."""
    for reader in _READERS:
        if any(name.lower().endswith(reader.EXTENSIONS) for name in names):
            reader.check_installed()


def reader_of(encoded: bytes, channels: int | None) -> types.ModuleType | None:
    """Module that reads a file by `describe`, `decode` and `problem`.

    Args:
        encoded: content of the file, or its beginning.
        channels: as for `extensions`.

    Returns:
        `dicom`, `tiff`, or None for any other format.
    """
    if dicom.is_dicom(encoded):
        return dicom
    if channels is not None and tiff.is_tiff(encoded):
        return tiff
    return None


def decode(
    encoded: bytes,
    max_pixels: int,
    pixel_range: tuple[float, float] | None,
    channels: int | None,
) -> np.ndarray | None:
    """Decodes a file if `reader_of` finds a module for it.

    Args are those of `decoding.decode`.

    Returns:
        `uint8` array `[H, W, C]`, or None for any other format.

    Raises:
        ImportError: the package that reads it is not installed.
        ValueError: it cannot be decoded; the text is the reason.
    """
    reader = reader_of(encoded, channels)
    if reader is None:
        return None
    return reader.decode(
        encoded, max_pixels, pixel_range=pixel_range, channels=channels
    )


def size(
    encoded: bytes, max_pixels: int, channels: int | None
) -> np.ndarray | None:
    """Height and width, `int32` `[2]`, of the image that `decode` returns.

    Args and errors are those of `decode`.
    """
    reader = reader_of(encoded, channels)
    if reader is None:
        return None
    return np.array(reader.describe(encoded, max_pixels)[0][:2], np.int32)
