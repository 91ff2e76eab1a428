"""Reads images that a TFDS data set stores as tensors, such as 13 bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simclr_keras.data.sources.source import Source
from simclr_keras.images.channels import mismatch


def find(features: Mapping[str, Any], channels: int, name: str) -> str:
    """Name of the feature that holds the images of a data set.

    Args:
        features: dict from names to features of TFDS.
        channels: number of channels of the images.
        name: name of the data set, for errors.

    Raises:
        ValueError: no Tensor feature, or several, are images `[H, W,
            channels]` of numbers.
    """
    import tensorflow_datasets as tfds

    # Most features are subclasses of Tensor.
    images = {
        key: tuple(feature.shape)
        for key, feature in features.items()
        if type(feature) is tfds.features.Tensor
        and len(feature.shape) == 3
        and np.issubdtype(np.dtype(feature.np_dtype), np.number)
    }
    found = [key for key, shape in images.items() if shape[-1] == channels]
    if len(images) == 1 and not found:
        ((key, shape),) = images.items()
        raise mismatch(f"feature {key!r} of {name!r}", shape[-1], channels)
    if len(found) != 1 or None in images[found[0]]:
        raise ValueError(
            f"A TFDS data set opened with channels={channels} must have an"
            " Image feature called 'image', or a single Tensor feature [height,"
            f" width, {channels}] of known sides. Received: {name!r} with the"
            f" features {sorted(features)}, of which {images or 'none'} are"
            " tensors of that rank"
        )
    return found[0]


def highest_and_lowest(source: Source, count: int) -> tuple[float, float, Any]:
    """Largest and smallest value of the first images of a source.

    Args:
        source: `Source` whose records are tensors.
        count: number of images.

    Returns:
        Triple of both values, NaN if a value is NaN, and the images' dtype, a
        `tf.DType`.
    """
    high, low, dtype = -np.inf, np.inf, None
    records = source.records.in_order(source.positions).take(count)
    for _, record in records:
        image, _ = source.records.parse(record)
        dtype = image.dtype
        values = image.numpy()
        high, low = max(high, values.max()), min(low, values.min())
    return float(high), float(low), dtype
