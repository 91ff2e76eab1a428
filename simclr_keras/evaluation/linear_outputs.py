"""Predicts several labels or numbers from features, by linear models."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from simclr_keras.evaluation import linear_probe
from simclr_keras.evaluation.features import check_counts
from simclr_keras.evaluation.features import check_features
from simclr_keras.evaluation.features import standardize
from simclr_keras.models import target_scale

# Bounds of the default learning rate, by the largest eigenvalue v of h' h / n.
# Squared errors have the curvature v, and Nesterov momentum 0.9 is stable up to
# 1.36 / v; the curvature of binary cross-entropy is v / 4.
_BOUNDS = {"sigmoid": 2.0, "linear": 1.0}


def linear_probabilities(
    train_h: np.ndarray,
    train_y: np.ndarray,
    test_h: np.ndarray,
    *,
    epochs: int = 90,
    batch_size: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """Trains a logistic regression for each of several labels, on features.

    As `linear_accuracy`, on standardised features, but with a sigmoid and
    binary cross-entropy, summed over the labels.

    Args:
        train_h: float `[n, C]`.
        train_y: `[n, K]` of 0 and 1.
        test_h: float `[m, C]`.
        epochs: passes over the training rows. Defaults to 90.
        batch_size: rows per step; n if n is smaller. Defaults to 256.
        seed: seed of the order of the rows. Defaults to 0.

    Returns:
        Probabilities of the labels, float32 `[m, K]`.

    Raises:
        ValueError: an argument is out of its range, or shapes do not fit.
    """
    train_y = _check_targets(train_y)
    if not np.isin(train_y, (0, 1)).all():
        raise ValueError(
            "train_y must hold 0 and 1. Received: values from"
            f" {train_y.min()} to {train_y.max()}"
        )
    logits = _outputs(
        train_h, train_y, test_h, "sigmoid", epochs, batch_size, seed
    )
    return tf.sigmoid(logits).numpy()


def linear_predictions(
    train_h: np.ndarray,
    train_y: np.ndarray,
    test_h: np.ndarray,
    *,
    epochs: int = 90,
    batch_size: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """Trains a linear regression of one or several numbers, on features.

    As `linear_accuracy`, on standardised features and targets, but with half
    the squared error, summed over the targets.

    Args:
        train_h: float `[n, C]`.
        train_y: float `[n, K]`.
        test_h: float `[m, C]`.
        epochs: passes over the training rows. Defaults to 90.
        batch_size: rows per step; n if n is smaller. Defaults to 256.
        seed: seed of the order of the rows. Defaults to 0.

    Returns:
        Predictions in the units of the targets, float32 `[m, K]`.

    Raises:
        ValueError: an argument is out of its range, shapes do not fit, a target
            is the same in all rows, or training diverged.
    """
    train_y = _check_targets(train_y)
    names = [f"column {k} of train_y" for k in range(train_y.shape[1])]
    scale = target_scale.measure(train_y, names)
    standardised = scale.standardize(train_y).numpy()
    outputs = _outputs(
        train_h, standardised, test_h, "linear", epochs, batch_size, seed
    )
    return scale.to_units(outputs).numpy()


def _check_targets(targets):
    targets = np.asarray(targets, np.float32)
    if targets.ndim != 2 or not np.isfinite(targets).all():
        raise ValueError(
            "train_y must be finite numbers [n, K]. Received: shape"
            f" {targets.shape}"
        )
    return targets


def _outputs(train_h, train_y, test_h, activation, epochs, batch_size, seed):
    """Outputs of a linear model on the test rows, before the activation."""
    train_h, _ = check_features("train_h", train_h)
    test_h, _ = check_features("test_h", test_h, width=train_h.shape[1])
    if len(train_y) != len(train_h):
        raise ValueError(
            f"train_y must have a row for each of the {len(train_h)} rows of"
            f" train_h. Received: {len(train_y)}"
        )
    check_counts(epochs=epochs, batch_size=batch_size)
    train_h, test_h = standardize(train_h, test_h)
    batch_size = min(batch_size, len(train_h))
    bound = _BOUNDS[activation] / linear_probe.largest_eigenvalue(train_h)
    if activation == "linear":
        # A batch of B rows has the curvature C / B along each of them, as C is
        # the mean squared length of a standardised row.
        bound = min(bound, 0.1 * batch_size / train_h.shape[1])
    kernel, bias = linear_probe.train(
        tf.constant(train_h),
        tf.constant(train_y),
        train_y.shape[1],
        epochs=int(epochs),
        batch_size=int(batch_size),
        learning_rate=tf.constant(
            min(0.1 * batch_size / 256, bound), tf.float32
        ),
        weight_decay=tf.constant(0.0),
        seed=int(seed),
        activation=activation,
    )
    outputs = test_h @ kernel.numpy() + bias.numpy()
    if not np.isfinite(outputs).all():
        raise ValueError(
            "Training diverged on these features; a larger batch_size gives it"
            f" smaller steps for each row. Received: batch_size={batch_size},"
            f" {train_h.shape[1]} features"
        )
    return outputs
