"""Computes the figures of classifiers of several labels at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simclr_keras.evaluation.confusion import share


class LabelFigures(NamedTuple):
    """Figures of each of K labels, arrays `[K]`; NaN where they have no value.

    Attributes:
        images: integers, images with the label.
        average_precision: in [0, 1]; NaN for a label that no image has.
        precision: share of the images predicted to have it that have it.
        recall: share of the images that have it that are predicted to.
        f1: harmonic mean of the last two.
    """

    images: np.ndarray
    average_precision: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Average precision of one label: `sum_k (R_k - R_{k-1}) P_k`.

    The sum is over the distinct scores in falling order; `P_k` and `R_k` are
    precision and recall if all images with at least that score are predicted to
    have the label. It is scikit-learn's `average_precision_score`.

    Args:
        scores: float `[n]`, higher is more likely.
        labels: `[n]` of 0 and 1.

    Returns:
        Float in [0, 1]; NaN if no image has the label.

    Raises:
        ValueError: shapes do not fit, scores are not finite, or labels are not
            0 and 1.
    """
    scores, labels = _checked(scores, labels, 1)
    if not labels.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    # The last row of each distinct score.
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    right = np.cumsum(labels)[last]
    recall = right / right[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * right / (last + 1)))


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the labels of `average_precision`.

    Labels that no image has are left out; scikit-learn's
    `average_precision_score(average="macro")` counts these as 0, and is the
    same otherwise.

    Args:
        scores: float `[n, K]`.
        labels: `[n, K]` of 0 and 1.

    Returns:
        Float in [0, 1]; NaN if no image has any label.

    Raises:
        ValueError: see `average_precision`.
    """
    each = label_figures(scores, labels).average_precision
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def label_figures(
    scores: np.ndarray, labels: np.ndarray, threshold: float = 0.5
) -> LabelFigures:
    """`LabelFigures` of scores `[n, K]` and labels `[n, K]` of 0 and 1.

    Args:
        scores: probabilities.
        labels: 0 or 1.
        threshold: probability above which a label is predicted. Default 0.5.

    Raises:
        ValueError: see `average_precision`.
    """
    scores, labels = _checked(scores, labels, 2)
    taken = scores > threshold
    images, predicted = labels.sum(axis=0), taken.sum(axis=0)
    right = (labels & taken).sum(axis=0)

    return LabelFigures(
        images,
        np.array([average_precision(s, y) for s, y in zip(scores.T, labels.T)]),
        share(right, predicted),
        share(right, images),
        share(2.0 * right, images + predicted),
    )


def _checked(scores, labels, rank):
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != rank or scores.shape != labels.shape or not scores.size:
        form = "[n]" if rank == 1 else "[n, K]"
        raise ValueError(
            f"scores and labels must both be {form}, not empty. Received:"
            f" shapes {scores.shape} and {labels.shape}"
        )
    if not np.isfinite(scores).all() or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            "scores must be finite, and labels 0 or 1. Received: scores from"
            f" {scores.min()} to {scores.max()}, labels from {labels.min()} to"
            f" {labels.max()}"
        )
    return scores, labels.astype(bool)
