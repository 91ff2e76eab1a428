"""Computes the figures of predicted numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simclr_keras.evaluation.confusion import share


class RegressionFigures(NamedTuple):
    """Figures of each of K targets, arrays `[K]`, in the targets' units.

    Attributes:
        mse: mean squared error.
        rmse: its square root.
        mae: mean absolute error.
        r2: 1 minus the mean squared error by the variance; 0 is the mean of
            these targets as a prediction, 1 is right. NaN if they are all
            equal.
    """

    mse: np.ndarray
    rmse: np.ndarray
    mae: np.ndarray
    r2: np.ndarray


def regression_figures(
    predictions: np.ndarray, targets: np.ndarray
) -> RegressionFigures:
    """`RegressionFigures` of predictions and targets, float `[n, K]`.

    Raises:
        ValueError: shapes do not fit, or a number is not finite.
    """
    predictions, targets = (
        np.asarray(each, np.float64) for each in (predictions, targets)
    )
    if targets.ndim != 2 or predictions.shape != targets.shape:
        raise ValueError(
            "predictions and targets must both be [n, K]. Received: shapes"
            f" {predictions.shape} and {targets.shape}"
        )
    if not (targets.size and np.isfinite([predictions, targets]).all()):
        raise ValueError(
            "predictions and targets must be finite numbers, at least one."
            f" Received: {targets.size} of each, not all finite"
        )
    errors = predictions - targets
    mse = (errors**2).mean(axis=0)
    # The variance of equal numbers need not be 0, by rounding.
    variance = np.where(np.ptp(targets, axis=0) > 0, targets.var(axis=0), 0.0)
    return RegressionFigures(
        mse,
        np.sqrt(mse),
        np.abs(errors).mean(axis=0),
        1.0 - share(mse, variance),
    )
