"""Reads DICOM files of one frame, through pydicom.

pydicom runs in Python, so exported graphs do not decode DICOM.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from simclr_keras.images.formats import blending
from simclr_keras.images.formats import dicom_pixels as pixels

EXTENSIONS = (".dcm", ".dicom")
_SIGNATURE, _PREAMBLE = b"DICM", 128
HEAD = _PREAMBLE + len(_SIGNATURE)  # bytes that identify a file
# Element (0002,0010) of a file that is deflated as a whole.
_DEFLATED = b"\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99"


def is_dicom(encoded: bytes) -> bool:
    """Whether bytes begin like a DICOM file; `HEAD` of them suffice."""
    return encoded[_PREAMBLE:HEAD] == _SIGNATURE


def check_installed() -> None:
    """Raises an ImportError if pydicom is not installed."""
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "DICOM files need pydicom: install the extra dicom, pip install"
            f" '.[dicom]' in a clone of simclr_keras ({error})"
        ) from error


def describe(
    encoded: bytes, max_pixels: int
) -> tuple[tuple[int, int, int], np.dtype]:
    """Reads shape and type from the header of a DICOM file.

    Args:
        encoded: content of the file.
        max_pixels: largest height times width that is allowed.

    Returns:
        Pair of (height, width, channels) of the image, and `uint8` if its
        values are taken as they are, else `float64`: they have more than 8
        bits, or are rescaled.

    Raises:
        ImportError: pydicom is not installed.
        ValueError: the file is damaged, too large, or not one image; the text
            is the reason.
    """
    with _opened(encoded, max_pixels, stop_before_pixels=True) as dataset:
        kind = np.float64 if pixels.needs_range(dataset) else np.uint8
        return pixels.shape(dataset), np.dtype(kind)


def decode(
    encoded: bytes,
    max_pixels: int,
    *,
    pixel_range: tuple[float, float] | None,
    channels: int | None,
) -> np.ndarray:
    """Decodes a DICOM file to 8 bits.

    Args:
        encoded: content of the file.
        max_pixels: see `describe`.
        pixel_range: pair (low, high), the rescaled values that become 0 and
            255, or, in a MONOCHROME1 file, 255 and 0. Colours of 8 bits,
            and grey values of 8 bits without a rescale, do not depend on it.
            None: the first window of the file, or else the range of its bits.
        channels: number that the file must have. None: any, and grey is
            repeated for RGB.

    Returns:
        `uint8` array `[H, W, channels]`.

    Raises:
        ImportError: pydicom is not installed.
        ValueError: see `describe`; or the pixels are damaged or compressed in
            a way that cannot be read, or have other channels.
    """
    with _opened(encoded, max_pixels) as dataset:
        shape = pixels.shape(dataset)
        if channels not in (None, shape[-1]):
            raise _Refused(f"it has {shape[-1]} channels, not {channels}")
        image = pixels.to_uint8(dataset, pixel_range)
    if image.shape != shape:
        raise ValueError("its header gives another size than its values have")
    if channels is None:
        image = blending.array_to_rgb(image)
    return np.ascontiguousarray(image)


def problem(
    encoded: bytes, max_pixels: int, pixel_range: tuple[float, float] | None
) -> str:
    """Says why a DICOM file cannot be decoded; "" if it can.

    Args:
        encoded: content of the file.
        max_pixels: see `describe`.
        pixel_range: see `decode`.
    """
    try:
        decode(encoded, max_pixels, pixel_range=pixel_range, channels=None)
    except (ValueError, ImportError) as error:
        return str(error)
    return ""


def used_range(
    encoded: bytes, max_pixels: int
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Reads how much of the range of its bits a file without a window uses.

    Args:
        encoded: content of the file.
        max_pixels: see `describe`.

    Returns:
        Pairs (low, high) of the rescaled values of the image and of its bits;
        None for one with a window, and for values that are taken as they are.

    Raises:
        ImportError: pydicom is not installed.
        ValueError: see `decode`.
    """
    with _opened(encoded, max_pixels) as dataset:
        if not pixels.needs_range(dataset) or pixels.has_window(dataset):
            return None
        if dataset.SamplesPerPixel == 3:
            values = dataset.pixel_array
        else:
            values = pixels.rescaled(dataset)
        used = float(values.min()), float(values.max())
        return used, tuple(sorted(pixels.range_of_bits(dataset)))


@contextlib.contextmanager
def _opened(
    encoded: bytes, max_pixels: int, stop_before_pixels: bool = False
) -> Iterator[Any]:
    """Opens a file whose header is right; its errors are ValueErrors."""
    check_installed()
    import pydicom

    if _DEFLATED in encoded:  # nothing bounds the memory that it may take
        raise ValueError("it is deflated as a whole, which is not read")
    try:
        dataset = pydicom.dcmread(
            io.BytesIO(encoded), stop_before_pixels=stop_before_pixels
        )
        pixels.lift_groups(dataset)
        _check(dataset, max_pixels)
        yield dataset
    except _Refused as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # a damaged file can raise anything
        text = " ".join(str(error).split())
        raise ValueError(
            "it is corrupt, cut short, or nothing that pydicom reads here"
            f" ({text})"
        ) from error


class _Refused(ValueError):
    """A file that is whole, and is not one image of a kind that is read."""


def _check(dataset, max_pixels):
    """Refuses what is not one image, or too large."""
    if not dataset.get("Rows") or not dataset.get("Columns"):
        raise _Refused("it has no image")
    height, width = dataset.Rows, dataset.Columns
    if height * width > max_pixels:
        raise _Refused(
            f"it has {height} x {width} pixels, max_pixels={max_pixels}"
        )
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise _Refused(
            f"it has {frames} frames; save each in a file of its own"
        )
    kind = dataset.PhotometricInterpretation
    if dataset.SamplesPerPixel != pixels.SAMPLES.get(kind):
        raise _Refused(
            f"it has the photometric interpretation {kind!r} with"
            f" {dataset.SamplesPerPixel} samples, which is not read"
        )
    if "BitsStored" not in dataset:
        raise _Refused("it has floating-point pixels, which are not read")
