"""Chooses the size of a network's input for the images of a source."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from simclr_keras.data.examples import Examples
from simclr_keras.data.sources.source import Source
from simclr_keras.data.subsets import spread_rows

# Side in pixels of the largest images that are not resized, and what others are
# resized to.
_LARGEST, _USUAL = 64, 224
# Number of files that are examined: spread evenly over a source, or the first
# ones of a stream.
_SAMPLE = 64


def default_size(source: Source) -> int:
    """Side in pixels of a network's input for these images.

    Their own side if all are squares of one size, of at most 64 pixels; else
    224. Of images in files, up to 64 are examined, or fewer if one of the first
    is larger; those that cannot be read are passed over.

    Args:
        source: `Source`.
    """
    shape = source.image_shape or _shape_of_files(source)
    if shape is not None and shape[0] == shape[1] <= _LARGEST:
        return int(shape[0])
    return _USUAL


def _shape_of_files(source):
    """Height and width of the files examined; None: large, or different."""
    rows = spread_rows(source.num_examples, _SAMPLE)
    if source.records is not None:
        rows = np.arange(len(rows))
    found = None
    examples = Examples(source.take(rows))
    for _, key in examples.epoch(0, 0, len(rows)):
        try:
            size = tuple(examples.size(examples.fetch(key)[0]).numpy())
        except tf.errors.OpError:  # said where it is decoded
            continue
        if max(size) > _LARGEST or found not in (None, size):
            return None
        found = size
    return found
