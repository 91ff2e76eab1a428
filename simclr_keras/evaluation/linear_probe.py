"""Evaluates cached features by a linear classifier trained by SGD."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from simclr_keras import randomness
from simclr_keras import scalars
from simclr_keras.evaluation.accuracy import top_k_accuracy
from simclr_keras.evaluation.features import check_counts
from simclr_keras.evaluation.features import check_train_and_test
from simclr_keras.evaluation.features import standardize as standardized
from simclr_keras.models.outputs import ACTIVATIONS

_SHUFFLE_STREAM = 40
_MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True)
class LinearAccuracy:
    """Result of `linear_accuracy`.

    Attributes:
        accuracy: top-1 test accuracy, in [0, 1].
        top5_accuracy: top-5 test accuracy, in [0, 1].
        train_accuracy: top-1 accuracy on the training rows, in [0, 1].
        learning_rate: peak learning rate that was used.
        predictions: integers `[m]`, classes of the test rows.
    """

    accuracy: float
    top5_accuracy: float
    train_accuracy: float
    learning_rate: float
    predictions: np.ndarray = dataclasses.field(compare=False, repr=False)


def linear_accuracy(
    train_h: np.ndarray,
    train_y: np.ndarray,
    test_h: np.ndarray,
    test_y: np.ndarray,
    *,
    epochs: int = 90,
    batch_size: int = 256,
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
    standardize: bool = True,
    seed: int = 0,
) -> LinearAccuracy:
    """Linear evaluation on features that were computed once.

    This is the paper's protocol, without its random crops and flips: softmax
    regression by SGD with Nesterov momentum 0.9, learning rate
    0.1 * batch_size / 256, 90 epochs, no weight decay. The learning rate falls
    to zero by a cosine without warm-up, as in the official code; the paper does
    not name a schedule. Rows are shuffled in every epoch, and an incomplete
    last batch is dropped. On CPU the result is a pure function of the
    arguments.

    The default learning rate has an upper bound that the paper does not have.
    With strongly correlated columns, above all raw pixels, gradient descent at
    the paper's rate oscillates instead of converging, and a baseline looks
    worse than it is. So the default is at most 2 / v, where v is the largest
    eigenvalue of `train_h' train_h / n`: v / 2 bounds the curvature of the loss
    (Boehning 1992), and plain gradient descent is stable up to 2 / curvature.

    Args:
        train_h: float `[n, C]`.
        train_y: integers `[n]`, 0 or greater.
        test_h: float `[m, C]`.
        test_y: integers `[m]`, 0 or greater.
        epochs: passes over the training rows. Defaults to 90.
        batch_size: rows per step; n if n is smaller. Defaults to 256.
        learning_rate: peak. Defaults to None: 0.1 * batch_size / 256, or the
            bound above if that is lower.
        weight_decay: factor of the penalty `0.5 * sum(W^2)`. Defaults to 0.
        standardize: whether each column is shifted and scaled by the training
            rows' mean and standard deviation, so that the learning rate suits
            features of any scale. The paper does not. Defaults to True.
        seed: seed of the order of the rows. Defaults to 0.

    Returns:
        `LinearAccuracy`.

    Raises:
        ValueError: an argument is out of its range, shapes do not fit, or
            training diverged.

    Reference:
        Chen et al. (2020), arXiv 2002.05709, appendix B.6 (and B.5).
    """
    train_h, train_y, test_h, test_y = check_train_and_test(
        train_h, train_y, test_h, test_y
    )
    check_counts(epochs=epochs, batch_size=batch_size)
    batch_size = min(batch_size, len(train_h))
    for name, value in (
        ("learning_rate", 0.0 if learning_rate is None else learning_rate),
        ("weight_decay", weight_decay),
    ):
        if not scalars.is_real(value) or not 0 <= value < math.inf:
            raise ValueError(
                f"{name} must be a number, 0 or greater. Received:"
                f" {name}={value!r}"
            )
    if standardize:
        train_h, test_h = standardized(train_h, test_h)
    if learning_rate is None:
        bound = 2.0 / largest_eigenvalue(train_h)
        learning_rate = min(0.1 * batch_size / 256, bound)
    kernel, bias = train(
        tf.constant(train_h),
        tf.constant(train_y, tf.int32),
        class_count=int(max(train_y.max(), test_y.max())) + 1,
        epochs=int(epochs),
        batch_size=int(batch_size),
        learning_rate=tf.constant(learning_rate, tf.float32),
        weight_decay=tf.constant(weight_decay, tf.float32),
        seed=int(seed),
    )
    scores = [h @ kernel.numpy() + bias.numpy() for h in (train_h, test_h)]
    if not all(np.isfinite(x).all() for x in scores):
        raise ValueError(
            "learning_rate must be small enough for these features; lower it,"
            f" or standardize. Received: learning_rate={learning_rate}"
        )
    return LinearAccuracy(
        accuracy=top_k_accuracy(scores[1], test_y, 1),
        top5_accuracy=top_k_accuracy(scores[1], test_y, 5),
        train_accuracy=top_k_accuracy(scores[0], train_y, 1),
        learning_rate=float(learning_rate),
        predictions=scores[1].argmax(axis=1),
    )


def largest_eigenvalue(features: np.ndarray) -> float:
    """Largest eigenvalue of `features' features / n`, by power iteration.

    Args:
        features: float32 `[n, C]`.

    Returns:
        Float, at least 1e-30.
    """
    vector = np.random.default_rng(0).standard_normal(features.shape[1])
    vector = vector.astype(np.float32)
    value = 0.0
    for _ in range(20):
        vector /= max(np.linalg.norm(vector), 1e-30)
        vector = (features @ vector) @ features / len(features)
        value = float(np.linalg.norm(vector))
    return max(value, 1e-30)


@tf.function(jit_compile=False)
def train(
    features: tf.Tensor,
    labels: tf.Tensor,
    class_count: int,
    epochs: int,
    batch_size: int,
    learning_rate: tf.Tensor,
    weight_decay: tf.Tensor,
    seed: int,
    activation: str = "softmax",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Weights `[C, K]` and biases `[K]` after all epochs, from zero.

    The loss is the one whose gradient is `activation(logits) - targets`:
    cross-entropy, or half the squared error.

    Args:
        features: float32 `[n, C]`.
        labels: classes, int32 `[n]`, for `"softmax"`; else float32 `[n, K]`.
        class_count: K.
        epochs: see `linear_accuracy`; the other arguments too.
        batch_size: at most n.
        learning_rate: float32 scalar.
        weight_decay: float32 scalar.
        seed: Python integer.
        activation: `"softmax"`, `"sigmoid"` or `"linear"`.

    This is one graph, because `fit` of a `Dense` by Keras's SGD takes 3.3 times
    as long: 4.5 against 1.4 s of CPU for ten epochs of 20,000 rows of 512
    features, 10 classes. A `Dense` and Keras's SGD in a loop like this one take
    1.3 times as long, and save no lines.
    """
    row_count, width = features.shape
    steps_per_epoch = row_count // batch_size
    total = epochs * steps_per_epoch
    kernel = tf.zeros([width, class_count])
    bias = tf.zeros([class_count])
    kernel_momentum, bias_momentum = kernel, bias
    order = tf.range(row_count)
    for step in tf.range(total):
        place = step % steps_per_epoch
        if place == 0:
            order = epoch_order(row_count, step // steps_per_epoch, seed)
        rows = order[place * batch_size : (place + 1) * batch_size]
        x = tf.gather(features, rows)  # [B, C]
        targets = tf.gather(labels, rows)
        if activation == "softmax":
            targets = tf.one_hot(targets, class_count)
        outputs = ACTIVATIONS[activation](tf.matmul(x, kernel) + bias)
        errors = (outputs - targets) / batch_size  # [B, K]
        kernel_gradient = tf.matmul(x, errors, transpose_a=True)  # [C, K]
        kernel_gradient += weight_decay * kernel
        bias_gradient = tf.reduce_sum(errors, axis=0)
        progress = tf.cast(step, tf.float32) / total
        rate = learning_rate * 0.5 * (1.0 + tf.cos(math.pi * progress))
        kernel_momentum = _MOMENTUM * kernel_momentum - rate * kernel_gradient
        bias_momentum = _MOMENTUM * bias_momentum - rate * bias_gradient
        kernel += _MOMENTUM * kernel_momentum - rate * kernel_gradient
        bias += _MOMENTUM * bias_momentum - rate * bias_gradient
    return kernel, bias


def epoch_order(row_count: int, epoch: int | tf.Tensor, seed: int) -> tf.Tensor:
    """Order of the rows in an epoch, `int32` `[row_count]`.

    Args:
        row_count: Python integer.
        epoch: integer scalar.
        seed: Python integer.
    """
    positions = tf.range(row_count, dtype=tf.int64)
    seeds = randomness.stateless_seeds(seed, epoch, positions, view=0)
    keys = randomness.uniforms(seeds, 1, _SHUFFLE_STREAM)[:, 0]
    return tf.argsort(keys, stable=True)
