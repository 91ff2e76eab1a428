"""Standardises the targets of a regression, and undoes it in its outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# Float32 outputs have seven digits: with a larger mean, too few are left for
# the differences that are to be predicted.
_MOST_MEANS = 1e4


@dataclasses.dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of each of K targets, in their units.

    Attributes:
        mean: list of K floats.
        std: list of K floats above 0.
    """

    mean: Sequence[float]
    std: Sequence[float]

    def to_units(self, outputs: tf.Tensor) -> tf.Tensor:
        """Maps standardised outputs `[B, K]` to the units of the targets."""
        return outputs * tf.constant(self.std, outputs.dtype) + tf.constant(
            self.mean, outputs.dtype
        )

    def standardize(self, targets: tf.Tensor) -> tf.Tensor:
        """Maps targets `[B, K]` in their units to standardised ones."""
        targets = tf.cast(targets, tf.float32)
        return (targets - tf.constant(self.mean)) / tf.constant(self.std)


def check(
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    num_outputs: int,
    activation: str,
) -> TargetScale | None:
    """Makes a `TargetScale`, or returns None if both arguments are None.

    Args:
        mean: K numbers, or None.
        std: K numbers above 0, or None.
        num_outputs: K.
        activation: name of the activation, which must be `"linear"`.

    Raises:
        ValueError: only one of them is given, they are not K such numbers, or
            the activation is another.
    """
    if mean is None and std is None:
        return None
    pair = [
        None if values is None else [float(value) for value in values]
        for values in (mean, std)
    ]
    right = None not in pair and activation == "linear"
    right = right and all(len(values) == num_outputs for values in pair)
    if not (right and np.isfinite(pair).all() and min(pair[1]) > 0):
        raise ValueError(
            f"target_mean and target_std must be {num_outputs} numbers each,"
            " one for each output, the second ones above 0, and activation"
            f" must be 'linear'. Received: target_mean={mean},"
            f" target_std={std}, activation={activation!r}"
        )
    return TargetScale(*pair)


def measure(targets: np.ndarray, names: Sequence[str]) -> TargetScale:
    """Measures the `TargetScale` of the targets of a training set.

    Args:
        targets: numbers `[n, K]`.
        names: K names of the targets, for messages.

    Raises:
        ValueError: a target is the same for all images, or varies by less than
            float32 can tell beside its mean.
    """
    targets = np.asarray(targets, np.float64)
    mean, std = targets.mean(axis=0), targets.std(axis=0)
    for name, m, s in zip(names, mean, std):
        if s == 0:
            raise ValueError(
                "Targets must vary over the training images. Received:"
                f" {name} is {m:g} for all {len(targets)} of them"
            )
        if abs(m) > _MOST_MEANS * s:
            raise ValueError(
                f"Targets must vary by more than 1/{_MOST_MEANS:g} of their"
                " mean, as float32 has seven digits; subtract a constant."
                f" Received: {name} with mean {m:g} and standard deviation"
                f" {s:g}"
            )
    return TargetScale(mean.tolist(), std.tolist())
