"""Maps the pixels of an open DICOM file to 8 bits, by pydicom's functions.

Stored grey values become rescaled ones (modality LUT), such as Hounsfield
units; then a stated range, or the file's own window (VOI LUT), says which are
black and white. The argument `dataset` is a `pydicom.Dataset` everywhere.
"""

from __future__ import annotations

import numpy as np

from simclr_keras.images.formats import blending
from simclr_keras.images.formats import pixel_range as ranges

_WHITE_IS_LOW, _PALETTE = "MONOCHROME1", "PALETTE COLOR"
# Samples of each photometric interpretation that is read.
SAMPLES = {
    **dict.fromkeys((_WHITE_IS_LOW, "MONOCHROME2", _PALETTE), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422"), 3),
    **dict.fromkeys(("YBR_ICT", "YBR_RCT"), 3),
}
# Where enhanced objects have their rescale and their window.
_GROUPS = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_IN_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def lift_groups(dataset) -> None:
    """Copies rescale and window of an enhanced object to where others have it.

    pydicom's functions look for them in the data set itself.
    """
    for groups in _GROUPS:
        for group in (dataset.get(groups) or [])[:1]:
            for name in _IN_GROUPS:
                for item in (group.get(name) or [])[:1]:
                    dataset.update(item)


def shape(dataset) -> tuple[int, int, int]:
    """(height, width, channels) of the image, 1 or 3 channels."""
    grey = dataset.SamplesPerPixel == 1 and not _is_palette(dataset)
    return int(dataset.Rows), int(dataset.Columns), 1 if grey else 3


def needs_range(dataset) -> bool:
    """Whether its values are not those of 8 bits, from 0 to 255, or of 1 bit.

    Such values are scaled, by a stated range if there is one.
    """
    if _is_palette(dataset) or dataset.BitsStored == 1:
        return False
    if dataset.SamplesPerPixel == 3:
        return dataset.BitsStored > 8
    return range_of_bits(dataset) != (0, 255)


def range_of_bits(dataset) -> tuple[float, float]:
    """Rescaled values of the smallest and the largest number of its bits.

    The first is the larger one if the slope of the rescale is negative.

    Raises:
        ValueError: the slope is 0.
    """
    if dataset.get("ModalityLUTSequence"):
        bits = dataset.ModalityLUTSequence[0].LUTDescriptor[2]
        return 0.0, 2.0**bits - 1
    low, high = 0.0, 2.0**dataset.BitsStored - 1
    if dataset.PixelRepresentation == 1:  # signed
        half = 2.0 ** (dataset.BitsStored - 1)
        low, high = low - half, high - half
    if "RescaleSlope" in dataset and "RescaleIntercept" in dataset:
        slope = float(dataset.RescaleSlope)
        intercept = float(dataset.RescaleIntercept)
        if slope == 0:
            raise ValueError("its RescaleSlope is 0")
        low, high = low * slope + intercept, high * slope + intercept
    return low, high


def has_window(dataset) -> bool:
    """Whether the file has a window, or a lookup table in its place."""
    window = dataset.get("WindowCenter"), dataset.get("WindowWidth")
    return _has_voi_lut(dataset) or None not in window


def rescaled(dataset) -> np.ndarray:
    """Grey values `[H, W]` in the units that the file gives them."""
    return _processing().apply_modality_lut(dataset.pixel_array, dataset)


def to_uint8(dataset, pixel_range: tuple[float, float] | None) -> np.ndarray:
    """Decodes the pixels to 8 bits.

    Args:
        dataset: `pydicom.Dataset` with pixels.
        pixel_range: see `dicom.decode`.

    Returns:
        `uint8` array `[H, W, channels]`, see `shape`.
    """
    if not needs_range(dataset):
        pixel_range = None
    if shape(dataset)[-1] == 3:
        return _color(dataset, pixel_range)
    return _grey(dataset, pixel_range)[..., np.newaxis]


def _grey(dataset, pixel_range):
    values, limits = rescaled(dataset), range_of_bits(dataset)
    if pixel_range is not None:
        limits = pixel_range
    elif _has_voi_lut(dataset):
        # Its entries are for whole numbers, and a rescale makes floats.
        whole = np.rint(values).astype(np.int32)
        values = _processing().apply_voi_lut(whole, dataset)
        limits = 0, 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif has_window(dataset):
        # A window spreads the values over the limits, from first to second.
        values = _processing().apply_voi_lut(values, dataset)
    else:
        limits = sorted(limits)
    image = ranges.to_uint8(values, limits)
    white_is_low = dataset.PhotometricInterpretation == _WHITE_IS_LOW
    return 255 - image if white_is_low else image


def _color(dataset, pixel_range):
    processing = _processing()
    image = dataset.pixel_array
    if _is_palette(dataset):
        image = processing.apply_color_lut(image, dataset)
        return blending.array_to_uint8(image)
    kind = dataset.PhotometricInterpretation
    is_version_2 = not hasattr(processing, "apply_presentation_lut")
    if is_version_2 and kind in ("YBR_FULL", "YBR_FULL_422"):
        # From version 3 on, `pixel_array` is RGB.
        image = processing.convert_color_space(image, kind, "RGB")
    if image.dtype == np.uint8 and dataset.BitsStored == 8:
        return image
    return ranges.to_uint8(image, pixel_range or range_of_bits(dataset))


def _processing():
    """pydicom's module of the functions for lookup tables and windows."""
    try:
        from pydicom.pixels import processing
    except ImportError:  # pydicom 2
        from pydicom.pixel_data_handlers import util as processing
    return processing


def _is_palette(dataset):
    return dataset.PhotometricInterpretation == _PALETTE


def _has_voi_lut(dataset):
    sequence = dataset.get("VOILUTSequence")
    return bool(sequence) and sequence[0].get("LUTData") is not None
