"""Checks and standardises arrays of features and labels."""

from __future__ import annotations

import numpy as np

from simclr_keras import scalars


def check_features(
    name: str,
    features: np.ndarray,
    labels: np.ndarray | None = None,
    width: int | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Checks features and labels, and converts them to float32 and int64.

    Args:
        name: name of the argument, for error messages.
        features: array `[n, C]` with n at least 1, finite.
        labels: integers `[n]`, not negative; None for features alone.
        width: required C; None for any.

    Returns:
        Pair of features, float32 `[n, C]`, and labels, int64 `[n]` or None.

    Raises:
        ValueError: an array does not satisfy the above.
    """
    features = np.asarray(features, dtype=np.float32)
    if features.ndim != 2 or not features.size:
        raise ValueError(
            f"{name} must be features [n, C], neither empty. Received: shape"
            f" {features.shape}"
        )
    if width is not None and features.shape[1] != width:
        raise ValueError(
            f"{name} must have as many columns as train_h. Received:"
            f" {features.shape[1]} columns and {width} in train_h"
        )
    if not np.isfinite(features).all():
        raise ValueError(
            f"{name} must be finite. Received: features with NaN or infinity"
        )
    if labels is None:
        return features, None
    labels = np.asarray(labels)
    whole = np.issubdtype(labels.dtype, np.integer)
    if labels.shape != features.shape[:1] or not whole or labels.min() < 0:
        raise ValueError(
            f"the labels of {name} must be integers [n], 0 or greater, one for"
            f" each row. Received: {labels.dtype} of shape {labels.shape} for"
            f" {features.shape[0]} rows"
        )
    return features, labels.astype(np.int64)


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Scales rows to length 1, float32; rows of zeros stay zero."""
    features = np.asarray(features, np.float32)
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
    long = ~np.isfinite(lengths)
    if long.any():
        # float32 has no squares of numbers above 1.8e19.
        largest = np.abs(features).max(axis=1, keepdims=True)
        features = features / np.where(long, largest, np.float32(1.0))
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-12)


def check_counts(**counts: int) -> None:
    """Refuses named arguments that are not whole numbers, at least 1."""
    for name, value in counts.items():
        if not scalars.is_whole(value) or value < 1:
            raise ValueError(
                f"{name} must be a whole number, at least 1. Received:"
                f" {name}={value!r}"
            )


def check_train_and_test(
    train_h: np.ndarray,
    train_y: np.ndarray,
    test_h: np.ndarray,
    test_y: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Applies `check_features` to a training set and its test set.

    Returns:
        `(train_h, train_y, test_h, test_y)`.

    Raises:
        ValueError: see `check_features`.
    """
    train_h, train_y = check_features("train_h", train_h, train_y)
    width = train_h.shape[1]
    test_h, test_y = check_features("test_h", test_h, test_y, width)
    return train_h, train_y, test_h, test_y


def columns_of(classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Index of each label in the sorted classes; -1 if it is not among them."""
    columns = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    return np.where(classes[columns] == labels, columns, -1)


def standardize(
    train_h: np.ndarray, *others: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Shifts and scales columns by the training set's mean and deviation.

    A column that is constant on the training set is only shifted.

    Args:
        train_h: float `[n, C]`.
        *others: float `[m, C]`, such as the test set.

    Returns:
        Tuple of float32 arrays: `train_h` with mean 0 and standard deviation
        1, and the others mapped alike.

    Raises:
        ValueError: an array has another number of columns than `train_h`.
    """
    train_h, *others = (np.asarray(x, np.float32) for x in (train_h, *others))
    for x in (train_h, *others):
        if x.ndim != 2 or x.shape[1:] != train_h.shape[1:]:
            raise ValueError(
                "features must be [n, C], all with the columns of train_h."
                f" Received: shape {x.shape}, train_h of {train_h.shape}"
            )
    mean = train_h.mean(axis=0, dtype=np.float64)
    deviation = train_h.std(axis=0, dtype=np.float64)
    # A smaller deviation is the rounding error of a constant column.
    constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
    scale = np.where(constant, 1.0, 1.0 / np.where(constant, 1.0, deviation))
    mean, scale = mean.astype(np.float32), scale.astype(np.float32)
    return tuple((x - mean) * scale for x in (train_h, *others))
