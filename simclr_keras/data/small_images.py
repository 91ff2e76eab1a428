"""Decodes images of one shape into memory when they are few and small."""

from __future__ import annotations

import dataclasses

import numpy as np

from simclr_keras.data.pipeline import make_dataset
from simclr_keras.data.sources.source import Source
from simclr_keras.data.sources.source import without_void_labels


def in_memory(source: Source, memory_limit: int) -> Source:
    """Reads the images of a source into memory, as 8 bits, if they fit.

    Args:
        source: `Source`. Images that are in memory, or that differ in shape,
            stay as they are.
        memory_limit: bytes that the images may take.
    """
    records = source.records
    tensors = records is not None and records.is_tensor
    if source.image_shape is None or not (
        tensors or source.encoded is not None
    ):
        return source
    shape = (source.num_examples, *source.image_shape)
    if np.prod(shape, dtype=float) > memory_limit:
        return source
    # Only a stream of records does not know the labels before it is read.
    labelled = tensors and source.has_labels
    size = min(256, shape[0])
    images, labels = np.empty(shape, np.uint8), np.empty(shape[0], np.int64)
    batches = make_dataset(
        source, batch_size=size, training=False, labelled=labelled
    )
    for k, batch in enumerate(batches):
        batch, numbers = batch if labelled else (batch, None)
        rows = slice(k * size, k * size + len(batch))
        images[rows] = batch.numpy()
        if labelled:
            labels[rows] = numbers.numpy()
    source = dataclasses.replace(
        source, images=images, encoded=None, records=None
    )
    if labelled:
        source = without_void_labels(dataclasses.replace(source, labels=labels))
    return source
