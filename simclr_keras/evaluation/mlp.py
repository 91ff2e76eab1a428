"""Evaluates cached features by a classifier with one hidden layer."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from simclr_keras.evaluation.accuracy import top_k_accuracy
from simclr_keras.evaluation.features import check_counts
from simclr_keras.evaluation.features import check_train_and_test
from simclr_keras.evaluation.features import standardize
from simclr_keras.evaluation.linear_probe import epoch_order

# Number of test rows that are classified at a time.
_ROWS = 4096


@dataclasses.dataclass(frozen=True)
class MLPAccuracy:
    """Result of `mlp_accuracy`.

    Attributes:
        accuracy: top-1 test accuracy, in [0, 1].
        predictions: integers `[m]`, classes of the test rows.
    """

    accuracy: float
    predictions: np.ndarray = dataclasses.field(compare=False, repr=False)


def mlp_accuracy(
    train_h: np.ndarray,
    train_y: np.ndarray,
    test_h: np.ndarray,
    test_y: np.ndarray,
    *,
    hidden: int = 512,
    epochs: int = 90,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> MLPAccuracy:
    """Evaluates features that were computed once, by a nonlinear classifier.

    It has one hidden layer with a ReLU, and is trained on standardised features
    by Adam, with cosine decay of the learning rate to zero and no weight decay.
    Rows are shuffled in every epoch, and an incomplete last batch is dropped.
    The paper does not describe its classifiers, except as MLPs.

    Args:
        train_h: float `[n, C]`.
        train_y: integers `[n]`, 0 or greater.
        test_h: float `[m, C]`.
        test_y: integers `[m]`, 0 or greater.
        hidden: units of the hidden layer, at least 1. Default 512.
        epochs: passes over the training rows, at least 1. Default 90.
        batch_size: rows per step, at least 1; n if n is smaller. Default 256.
        learning_rate: peak, above 0. Default 1e-3.
        seed: seed of the weights and of the order of the rows. Default 0.

    Returns:
        `MLPAccuracy`.

    Raises:
        ValueError: an argument is out of its range, or shapes do not fit.

    Reference:
        Chen et al. (2020), arXiv 2002.05709, table 3.
    """
    train_h, train_y, test_h, test_y = check_train_and_test(
        train_h, train_y, test_h, test_y
    )
    check_counts(hidden=hidden, epochs=epochs, batch_size=batch_size)
    if not 0 < learning_rate < np.inf:
        raise ValueError(
            "learning_rate must be a number above 0. Received: learning_rate="
            f"{learning_rate!r}"
        )
    train_h, test_h = standardize(train_h, test_h)
    batch_size = min(batch_size, len(train_h))
    class_count = int(max(train_y.max(), test_y.max())) + 1
    layers = _layers((train_h.shape[1], hidden, class_count), seed)
    steps = epochs * (len(train_h) // batch_size)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    )
    _train(layers, optimizer, train_h, train_y, epochs, batch_size, seed)
    scores = [
        _logits(layers, test_h[first : first + _ROWS]).numpy()
        for first in range(0, len(test_h), _ROWS)
    ]
    scores = np.concatenate(scores)
    return MLPAccuracy(top_k_accuracy(scores, test_y, 1), scores.argmax(axis=1))


def _layers(widths, seed):
    """Built dense layers, in float32 under every dtype policy."""
    layers = []
    for number, (width, units) in enumerate(zip(widths, widths[1:])):
        layer = keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.HeNormal(seed + number),
            dtype="float32",
        )
        layer.build((None, width))
        layers.append(layer)
    return layers


def _logits(layers, x):
    """Maps features `[B, C]` to logits `[B, K]`."""
    for layer in layers[:-1]:
        x = tf.nn.relu(layer(x))
    return layers[-1](x)


def _train(layers, optimizer, features, labels, epochs, batch_size, seed):
    """Trains in place, by one graph for all epochs as in `linear_probe`."""
    variables = [v for layer in layers for v in layer.trainable_variables]
    optimizer.build(variables)
    features, labels = tf.constant(features), tf.constant(labels)

    @tf.function(jit_compile=False)
    def train_epoch(epoch):
        order = epoch_order(len(features), epoch, seed)
        for step in tf.range(len(features) // batch_size):
            rows = order[step * batch_size : (step + 1) * batch_size]
            x, y = tf.gather(features, rows), tf.gather(labels, rows)
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    y, _logits(layers, x)
                )
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables))

    for epoch in range(epochs):
        train_epoch(tf.constant(epoch, tf.int64))
