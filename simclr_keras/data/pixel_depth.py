"""Examines some images of a source: their bits, range and channels."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import tensorflow as tf

from simclr_keras import images
from simclr_keras import paths
from simclr_keras.data.sources import tensor_features
from simclr_keras.data.sources.source import Source
from simclr_keras.data.subsets import spread_rows
from simclr_keras.images.channels import mismatch
from simclr_keras.images.formats import dicom
from simclr_keras.images.formats import pixel_range as ranges
from simclr_keras.images.formats import python_decoders
from simclr_keras.images.formats import tiff

# Number of images that are examined: spread evenly over a source, or the first
# ones of a stream.
_SAMPLE = 64


def with_pixel_range(
    source: Source,
    pixel_range: tuple[float, float] | None,
    check_channels: bool = True,
) -> Source:
    """Returns the source with the range by which to scale its 16-bit images.

    Some of its images are examined. If no range is given, those of 16 bits must
    use more than half of the full range; of DICOM files, only those without a
    window, and of the range of their bits. The channels of images that are not
    examined are checked when they are decoded.

    Args:
        source: `Source` of encoded images, or of records of tensors.
        pixel_range: pair (low, high), or None.
        check_channels: whether all must have `source.channels`, if stated.
            Default True.

    Raises:
        ValueError: images of 16 bits need a range, or a range is stated and
            no image has 16 bits; or an image has other channels than those
            stated, and the message names it.
    """
    if source.records is not None and source.records.is_tensor:
        return _with_range_of_tensors(source, pixel_range)
    count, highest, used = 0, [], []
    for row, encoded in _encoded(source):
        if check_channels:
            _check_channels(encoded, source, row)
        if _is_deep(encoded, source):
            count += 1
            if pixel_range is None and dicom.is_dicom(encoded):
                used.append(_used_range(encoded, source))
            elif pixel_range is None:
                highest.append(_highest(encoded, source))
    if pixel_range is None:
        if highest:
            ranges.refuse_dark(max(highest), len(highest), source.name)
        _refuse_flat(used, source.name)
        return source
    if not count:
        raise ValueError(
            "pixel_range is for images of 16 bits; leave it out. Received:"
            f" pixel_range={pixel_range}, and none of the images of"
            f" {source.name} that were looked at has 16 bits"
        )
    return dataclasses.replace(source, pixel_range=pixel_range)


def _check_channels(encoded, source, row):
    if source.channels is None:
        return
    found = images.stored_channels(encoded, source.max_pixels)
    if found not in (None, source.channels):
        raise mismatch(source.ids[row], found, source.channels)


def _is_deep(encoded, source):
    """Whether an image has values of more than 8 bits."""
    reader = python_decoders.reader_of(encoded, source.channels)
    if reader is None:
        return ranges.is_deep_png(encoded)
    try:
        return reader.describe(encoded, source.max_pixels)[1] != np.uint8
    except ValueError:  # reported when it is decoded
        return False


def _used_range(encoded, source):
    """`dicom.used_range`; None also for a file that cannot be decoded."""
    try:
        return dicom.used_range(encoded, source.max_pixels)
    except ValueError:
        return None


def _refuse_flat(used, name):
    """Refuses DICOM images that use at most half the range of their bits.

    Where others of the data set have a window, this is a warning: a stated
    range would take the place of those windows.

    Args:
        used: results of `dicom.used_range`.
        name: name of the data set.
    """
    bare = [each for each in used if each is not None]
    if not bare:
        return
    lows, highs = zip(*(values for values, _ in bare))
    low, high = min(lows), max(highs)
    first, last = max((bits for _, bits in bare), key=lambda x: x[1] - x[0])
    if high - low > (last - first) / 2:
        return
    text = (
        "DICOM images without a window (WindowCenter, WindowWidth) must use"
        " more than half of the range of their bits, or it must be said which"
        " rescaled values, such as Hounsfield units, are black and white."
        f" Command line: --pixel_range={low:g},{high:g}; Python:"
        f" pixel_range=({low:g}, {high:g}). Received: values from {low:g} to"
        f" {high:g} of {first:g} to {last:g} in {len(bare)} images of {name}"
    )
    if len(bare) == len(used):
        raise ValueError(text)
    warnings.warn(
        f"{text}, and {len(used) - len(bare)} images with a window, which"
        " pixel_range would replace",
        stacklevel=4,
    )


def _highest(encoded, source):
    """Largest value of an image of more than 8 bits.

    For one that cannot be decoded, or has too many pixels, this is the largest
    possible value: it does not show that images are dark, and an error will
    name it when it is decoded.
    """
    if python_decoders.reader_of(encoded, source.channels) is tiff:
        return _highest_of_tiff(encoded, source)
    try:
        images.image_size(tf.constant(encoded), source.max_pixels)
        pixels = tf.io.decode_png(encoded, dtype=tf.uint16)
    except tf.errors.OpError:
        return np.iinfo(np.uint16).max
    if source.channels is None:
        pixels = ranges.colors(pixels)
    return int(tf.reduce_max(pixels))


def _highest_of_tiff(encoded, source):
    """`_highest` of a TIFF file; refuses values that need a range."""
    full = np.iinfo(np.uint16).max
    try:
        pixels = tiff.read(encoded, source.max_pixels)
    except ValueError:
        return full
    if pixels.dtype == np.uint16:
        return int(pixels.max())
    if np.isfinite(pixels).all():
        try:
            tiff.to_uint8(pixels, None)
        except ValueError as error:
            raise ValueError(
                f"An image of {source.name} cannot be read: {error}"
            ) from error
    return full


def _with_range_of_tensors(source, pixel_range):
    """`with_pixel_range` of a source whose records are tensors."""
    high, low, dtype = tensor_features.highest_and_lowest(source, _SAMPLE)
    if not np.isfinite([high, low]).all():
        raise ValueError(
            f"The images of {source.name} must be finite numbers. Received:"
            f" values from {low} to {high}"
        )
    if pixel_range is None:
        if dtype == tf.uint16:
            count = min(_SAMPLE, source.num_examples)
            ranges.refuse_dark(int(high), count, source.name)
        elif dtype != tf.uint8 and not (
            dtype.is_floating and 0 <= low and high <= 1
        ):
            raise ValueError(
                f"Images of {source.name} must be uint8, uint16, or floats in"
                " [0, 1]; else say their black and white by pixel_range"
                f" (--pixel_range). Received: {dtype.name}, values from"
                f" {low:g} to {high:g}"
            )
    return dataclasses.replace(source, pixel_range=pixel_range)


def _encoded(source):
    """Yields rows and contents of some images, except unreadable ones."""
    some = spread_rows(source.num_examples, _SAMPLE)
    if source.records is not None:
        records = source.records.in_order(source.positions).take(_SAMPLE)
        for row, (_, record) in enumerate(records):
            yield row, source.records.parse(record)[0].numpy()
        return
    if source.shards is not None:
        read, _ = source.shards.reader()
        for row in some:
            try:
                yield row, read(tf.constant(row)).numpy()
            except tf.errors.OpError:  # said where it is decoded
                continue
        return
    if source.files is None:
        yield from ((i, source.encoded[i]) for i in some)
        return
    for row, path in zip(some, source.files[some]):
        try:
            with paths.as_path(path).open("rb") as file:
                encoded = file.read(python_decoders.HEAD)
                is_read = python_decoders.reader_of(encoded, source.channels)
                if source.channels or is_read or ranges.is_deep_png(encoded):
                    encoded += file.read()
            yield row, encoded
        except OSError:  # reported when it is decoded
            continue
