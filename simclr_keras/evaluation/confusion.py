"""Computes the confusion matrix and the accuracy of each class from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ClassFigures(NamedTuple):
    """Metrics of each of K classes; each attribute is an array `[K]`.

    Attributes:
        images: int64, number of images of the class.
        accuracy: fraction of these that are predicted correctly (recall), in
            [0, 1]; NaN if there are none.
        precision: fraction of the predictions of the class that are correct;
            NaN if there are none.
        f1: harmonic mean of the two, `2 right / (images + taken)`, where
            `right` are the correct and `taken` all predictions of the class;
            NaN if the class neither occurs nor is predicted.
    """

    images: np.ndarray
    accuracy: np.ndarray
    precision: np.ndarray
    f1: np.ndarray


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int
) -> np.ndarray:
    """Counts the images of each class by the predicted class.

    Args:
        labels: integers `[n]`, 0 to K - 1.
        predictions: integers `[n]`, 0 to K - 1.
        num_classes: K.

    Returns:
        int64 array `[K, K]`: rows are labels, columns predictions.

    Raises:
        ValueError: shapes do not fit, or a class is out of range.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 1 or labels.shape != predictions.shape:
        raise ValueError(
            "labels and predictions must both be [n]. Received: shapes"
            f" {labels.shape} and {predictions.shape}"
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        if len(values) and not 0 <= values.min() <= values.max() < num_classes:
            raise ValueError(
                f"{name} must lie between 0 and {num_classes - 1}. Received:"
                f" {values.min()} to {values.max()}"
            )
    cells = labels.astype(np.int64) * num_classes + predictions
    counts = np.bincount(cells, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def class_figures(matrix: np.ndarray) -> ClassFigures:
    """`ClassFigures` of a `confusion_matrix` `[K, K]`."""
    right, images = np.diagonal(matrix), matrix.sum(axis=1)
    taken = matrix.sum(axis=0)

    return ClassFigures(
        images,
        share(right, images),
        share(right, taken),
        share(2.0 * right, images + taken),
    )


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole` of two arrays `[K]`; NaN where `whole` is not above 0."""
    return np.divide(part, whole, np.full(len(part), np.nan), where=whole > 0)
