"""Computes the learning rate: scaling with the batch, warm-up and cosine."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.choices import LEARNING_RATE_SCALINGS as SCALINGS


class CutWarmup(UserWarning):
    """Says that a warm-up is not over when the run ends."""


@compat.register
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to the peak, then half a cosine down to 0.

    At step s (0 is the first), with warm-up W, total T and peak P:

        s < W:       P s / W
        W <= s < T:  P (1 + cos(pi (s - W) / (T - W))) / 2
        T <= s:      0

    A warm-up as long as the run or longer (W >= T) is cut off by its end: the
    rate rises as if the run were long enough, stays below the peak and is 0
    from T on. A `CutWarmup` warning says so.

    Args:
        peak: Highest rate, at least 0.
        warmup_steps: W in steps, at least 0.
        total_steps: T in steps, at least 1.
        name: Name of the schedule.

    Raises:
        ValueError: An argument is out of range.

    Example:

    >>> schedule = WarmupCosine(0.4, warmup_steps=10, total_steps=110)
    >>> [round(float(schedule(s)), 3) for s in (0, 5, 10, 60, 110)]
    [0.0, 0.2, 0.4, 0.2, 0.0]

    References:
        Chen et al. 2020 (arXiv 2002.05709), section 2.2 and appendix B.6;
        Loshchilov & Hutter, SGDR, 2016 (arXiv 1608.03983).
    """

    def __init__(
        self,
        peak: float,
        warmup_steps: int,
        total_steps: int,
        name: str = "warmup_cosine",
    ):
        super().__init__()
        if not peak >= 0:
            raise ValueError(f"peak must be at least 0. Received: peak={peak}")
        _check_count("warmup_steps", warmup_steps, 0)
        _check_count("total_steps", total_steps, 1)
        self.peak = float(peak)
        self.warmup_steps = int(warmup_steps)
        self.total_steps = int(total_steps)
        self.name = name
        if self.warmup_steps >= self.total_steps:
            part = (self.total_steps - 1) / self.warmup_steps
            warnings.warn(
                f"the warm-up of {warmup_steps} steps is not over when the run"
                f" of {total_steps} ends: the learning rate only rises, to"
                f" {part:.0%} of its peak. Give fewer warmup_steps.",
                CutWarmup,
                stacklevel=2,
            )

    def __call__(self, step):
        """Rate at a step.

        Args:
            step: Steps done before, any integer type and shape.

        Returns:
            float32 of the shape of `step`.
        """
        # Keras's CosineDecay gives the same bits after the warm-up, but rounds
        # about a third of the warm-up's steps differently. With it, a run begun
        # with this formula would not resume exactly.
        step = tf.cast(step, tf.float32)
        descent = max(self.total_steps - self.warmup_steps, 1)
        progress = (step - self.warmup_steps) / descent
        progress = tf.clip_by_value(progress, 0.0, 1.0)
        rate = 0.5 * self.peak * (1 + tf.cos(math.pi * progress))
        if self.warmup_steps:
            rate = tf.where(
                step < self.warmup_steps,
                self.peak * step / self.warmup_steps,
                rate,
            )
        return tf.where(step < self.total_steps, rate, tf.zeros_like(rate))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal schedule."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmupCosine:
        """The schedule of `get_config`, without a second `CutWarmup`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CutWarmup)
            return cls(**config)


def scale_learning_rate(
    learning_rate: float, batch_size: int, scaling: str = "linear"
) -> float:
    """Scales a learning rate to the size of the global batch.

    Args:
        learning_rate: Base rate.
        batch_size: Images in the global batch, at least 1.
        scaling: `"linear"` (default): base x batch / 256; `"sqrt"`: base x
            sqrt(batch), better for small batches (0.075 with it equals 0.3
            with linear at 4096); `"none"`: base.

    Returns:
        The rate, a Python float.

    Raises:
        ValueError: An argument is out of range.

    Reference: Chen et al. 2020 (arXiv 2002.05709), appendix B.1.
    """
    _check_count("batch_size", batch_size, 1)
    if scaling == "linear":
        return learning_rate * batch_size / 256.0
    if scaling == "sqrt":
        return learning_rate * math.sqrt(batch_size)
    if scaling == "none":
        return float(learning_rate)
    raise ValueError(
        f"scaling must be one of {SCALINGS}. Received: scaling={scaling!r}"
    )


def warmup_steps(
    warmup_epochs: float, num_examples: int, batch_size: int
) -> int:
    """Steps of a warm-up, rounded down as in the official code.

    Args:
        warmup_epochs: Epochs, fractions too, at least 0.
        num_examples: Images in the training set.
        batch_size: Images in the global batch.

    Returns:
        Python int.
    """
    _check_count("batch_size", batch_size, 1)
    if not warmup_epochs >= 0:
        raise ValueError(
            "warmup_epochs must be at least 0. Received:"
            f" warmup_epochs={warmup_epochs}"
        )
    return int(round(warmup_epochs * num_examples // batch_size))


def total_steps(
    train_epochs: int, num_examples: int, batch_size: int, train_steps: int = 0
) -> int:
    """Steps of a run whose epochs have full batches only, as those of `data`.

    The official code lets batches span two epochs and adds one step:
    `num_examples * train_epochs // batch_size + 1`.

    Args:
        train_epochs: Epochs, at least 1.
        num_examples: Images in the training set.
        batch_size: Images in the global batch.
        train_steps: If above 0, returned in place of the product. Default 0.

    Returns:
        Python int; 0 if the batch is larger than the training set.
    """
    _check_count("batch_size", batch_size, 1)
    return int(train_steps or num_examples // batch_size * train_epochs)


def _check_count(name, value, least):
    if int(value) != value or value < least:
        raise ValueError(
            f"{name} must be a whole number of at least {least}."
            f" Received: {name}={value}"
        )
