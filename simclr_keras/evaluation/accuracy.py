"""Computes the accuracies that papers report."""

from __future__ import annotations

import numpy as np


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Fraction of the rows whose label is among the k highest scores.

    Of equal scores the class with the lower index ranks first, as in `argmax`,
    so constant scores do not count as correct for every class.

    Args:
        scores: `[n, K]`, higher is more likely: logits, probabilities, votes.
        labels: integers `[n]`; a label outside 0..K-1 counts as incorrect.
        k: number of guesses, at least 1. With `k >= K` every label of the
            K classes counts as correct. Defaults to 1.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: shapes do not fit, labels are not integers, scores are not
            finite, or k < 1.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if k < 1:
        raise ValueError(f"k must be at least 1. Received: k={k}")
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ValueError(
            "scores must be [n, K] and labels [n], with n at least 1. Received:"
            f" scores of shape {scores.shape}, labels of shape {labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "labels must be integers [n], one for each row. Received:"
            f" {labels.dtype} of shape {labels.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError(
            "scores must be finite. Received: scores with NaN or infinity"
        )
    in_range = (labels >= 0) & (labels < scores.shape[1])
    columns = np.where(in_range, labels, 0)[:, None]
    label_scores = np.take_along_axis(scores, columns, axis=1)
    earlier = np.arange(scores.shape[1]) < columns
    ahead = (scores > label_scores) | ((scores == label_scores) & earlier)
    return float(np.mean(in_range & (ahead.sum(axis=1) < k)))


def mean_per_class_accuracy(
    predictions: np.ndarray, labels: np.ndarray
) -> float:
    """Accuracy within each class, averaged over the classes.

    The paper reports it for Aircraft, Pets, Caltech-101 and Flowers (Chen et
    al. 2020, arXiv 2002.05709, appendix B.8.1).

    Args:
        predictions: integers `[n]`.
        labels: integers `[n]`; the classes are those that occur here.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: shapes do not fit.
    """
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.shape != labels.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            "predictions and labels must both be [n], with n at least 1."
            f" Received: shapes {predictions.shape} and {labels.shape}"
        )
    correct = predictions == labels
    return float(
        np.mean([correct[labels == c].mean() for c in np.unique(labels)])
    )
