"""Checks the data sets whose features are extracted."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from simclr_keras import data


def check(
    dataset: data.Batches | tf.data.Dataset,
) -> tuple[tf.TensorSpec, bool]:
    """Checks a data set; returns the images' spec and whether it has labels."""
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(
            "dataset must be a batched tf.data.Dataset. Received: an object of"
            f" type {type(dataset).__name__}"
        )
    spec = dataset.element_spec
    labelled = isinstance(spec, tuple) and len(spec) == 2
    images = spec[0] if labelled else spec
    if not isinstance(images, tf.TensorSpec) or images.shape.rank != 4:
        raise ValueError(
            "dataset must yield batches of images [B, H, W, C], or (images,"
            f" labels). Received: elements of the form {spec}"
        )
    if labelled and not _are_labels(spec[1]):
        raise ValueError(
            "dataset must yield integer labels [B], one for each image, or rows"
            " [B, K] of several labels or numbers. Received: labels of the form"
            f" {spec[1]}"
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "dataset must end, so that each image is seen once; leave out"
            " repeat(), or limit it with take(). Received: an endless dataset"
        )
    return images, labelled


def label_dtype(labels: tf.Tensor | tf.TensorSpec) -> type[np.generic]:
    """Type of the labels that are extracted: int64 `[B]`, float32 `[B, K]`."""
    return np.float32 if labels.shape.rank == 2 else np.int64


def _are_labels(spec):
    if not isinstance(spec, tf.TensorSpec):
        return False
    if spec.shape.rank == 2:
        return spec.dtype.is_integer or spec.dtype.is_floating
    return spec.dtype.is_integer and spec.shape.rank in (1, None)
