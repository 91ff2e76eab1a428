"""Finds out whether images of a source have 16 bits; checks their range."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from simclr_keras import images
from simclr_keras import paths
from simclr_keras.data.source import Source
from simclr_keras.images import pixel_range as ranges

# Number of images that are examined: spread evenly over a source, or the first
# ones of a stream.
_SAMPLE = 64


def with_pixel_range(
    source: Source, pixel_range: tuple[float, float] | None
) -> Source:
    """Returns the source with the range by which to scale its 16-bit images.

    Some of its images are examined. If no range is given, those of 16 bits must
    use more than half of the full range.

    Args:
        source: `Source` of encoded images.
        pixel_range: pair (low, high), or None.

    Raises:
        ValueError: images of 16 bits need a range, or a range is stated and
            no image has 16 bits.
    """
    count, highest = 0, 0
    for encoded in _encoded(source):
        if ranges.is_deep_png(encoded):
            count += 1
            if pixel_range is None:
                highest = max(highest, _highest(encoded, source.max_pixels))
    if pixel_range is None:
        if count:
            ranges.refuse_dark(highest, count, source.name)
        return source
    if not count:
        raise ValueError(
            "pixel_range is for images of 16 bits; leave it out. Received:"
            f" pixel_range={pixel_range}, and none of the images of"
            f" {source.name} that were looked at has 16 bits"
        )
    return dataclasses.replace(source, pixel_range=pixel_range)


def _highest(encoded, max_pixels):
    """Largest value of a PNG of 16 bits.

    For one that cannot be decoded, or has too many pixels, this is the largest
    possible value: it does not show that images are dark, and an error will
    name it when it is decoded.
    """
    try:
        images.image_size(tf.constant(encoded), max_pixels)
        pixels = tf.io.decode_png(encoded, dtype=tf.uint16)
    except tf.errors.OpError:
        return np.iinfo(np.uint16).max
    return int(tf.reduce_max(ranges.colors(pixels)))


def _encoded(source):
    """Yields the contents of some images, except those that cannot be read."""
    count = source.num_examples
    some = np.unique(np.linspace(0, count - 1, min(_SAMPLE, count)).astype(int))
    if source.records is not None:
        records = source.records.in_order(source.positions).take(_SAMPLE)
        for _, record in records:
            yield source.records.parse(record)[0].numpy()
        return
    if source.shards is not None:
        read, _ = source.shards.reader()
        for row in some:
            try:
                yield read(tf.constant(row)).numpy()
            except tf.errors.OpError:  # said where it is decoded
                continue
        return
    if source.files is None:
        yield from (source.encoded[i] for i in some)
        return
    for path in source.files[some]:
        try:
            with paths.as_path(path).open("rb") as file:
                encoded = file.read(32)
                if ranges.is_deep_png(encoded):
                    encoded += file.read()
            yield encoded
        except OSError:  # reported when it is decoded
            continue
