"""Makes batches of centre-cropped images, for evaluation."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from simclr_keras import images as image_functions
from simclr_keras.data.combined import mapped
from simclr_keras.data.epochs import Batches
from simclr_keras.data.pipeline import make_dataset
from simclr_keras.data.sources.source import Source
from simclr_keras.images.checks import SMALL_IMAGE
from simclr_keras.images.formats.pixel_range import unit_to_uint8


def evaluation_images(
    source: Source,
    image_size: int,
    batch_size: int,
    *,
    labelled: bool = True,
    drop_remainder: bool = False,
) -> Batches:
    """Batches of images in source order, each as `images.CenterCrop` makes it.

    Images that the crop would not change stay `uint8`, which takes a quarter of
    the bytes.

    Args:
        source: `Source`.
        image_size: side of the images in pixels.
        batch_size: images per batch.
        labelled: yield pairs (images, labels). Default True.
        drop_remainder: drop the last batch if it is not full. Default False.

    Returns:
        `Batches` of images `[B, S, S, C]`, `float32` in [0, 1] or `uint8`, and
        of their labels, `int64` `[B]` or `float32` `[B, K]`.

    Raises:
        ValueError: see `make_dataset`.
    """
    dataset = make_dataset(
        source,
        batch_size=batch_size,
        image_size=image_size,
        training=False,
        labelled=labelled,
        drop_remainder=drop_remainder,
    )
    shape = (image_size, image_size, source.num_channels)
    fits = source.image_shape == shape and image_size <= SMALL_IMAGE
    if source.image_shape is None or fits:
        return dataset
    crop = image_functions.CenterCrop(image_size)
    if not labelled:
        spec = tf.TensorSpec([dataset.element_spec.shape[0], *shape])
        return mapped(dataset, crop, spec)
    images, labels = dataset.element_spec
    return mapped(
        dataset,
        lambda images, labels: (crop(images), labels),
        (tf.TensorSpec([images.shape[0], *shape]), labels),
    )


def read_images(
    source: Source, rows: np.ndarray, image_size: int, batch_size: int = 256
) -> np.ndarray:
    """Reads the images of some rows of a source, for display.

    Args:
        source: `Source`.
        rows: integer array of any shape; repeated rows are read once.
        image_size: side of the images in pixels.
        batch_size: images that are read at a time. Default 256.

    Returns:
        `uint8` array `[*rows.shape, S, S, C]`.
    """
    wanted, places = np.unique(rows, return_inverse=True)
    dataset = evaluation_images(
        source.take(wanted), image_size, batch_size, labelled=False
    )
    images = np.concatenate([np.asarray(batch) for batch in dataset])
    if images.dtype != np.uint8:
        images = unit_to_uint8(images)
    return images[places.reshape(rows.shape)]
