"""Shuffles by seed and number, without any generator that keeps state."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from simclr_keras import randomness

# What is shuffled: the `view` of `randomness.stateless_seeds`. Those of images
# are below 100.
EXAMPLES, FILES, BUFFER, SUBSET, HOLD_OUT, SPLIT = range(100, 106)


def permutation(
    count: int, seed: int, number: int | tf.Tensor, use: int
) -> tf.Tensor:
    """Shuffles 0 ... count - 1: the order that sorts random 63-bit keys.

    Args:
        count: how many to shuffle, Python integer.
        seed: Python integer.
        number: integer scalar (an epoch, a class) that tells permutations of
            one seed apart.
        use: one of this module's constants; different uses are independent.

    Returns:
        `int64` tensor `[count]`, each number once; a pure function of the
        arguments, the same on every version of TensorFlow and of NumPy.
    """
    return _permutation(count, seed, tf.cast(number, tf.int64), use)


@tf.function(autograph=False)
def _permutation(count, seed, number, use):
    """Traced once per (count, seed, use), not in every dataset again."""
    positions = tf.range(count, dtype=tf.int64)
    words = randomness.stateless_seeds(seed, number, positions, use)
    words = tf.cast(words, tf.int64)
    keys = tf.bitwise.bitwise_xor(words[:, 0] * 2**31, words[:, 1])
    return tf.cast(tf.argsort(keys, stable=True), tf.int64)


def shuffled(count: int, seed: int, number: int, use: int) -> np.ndarray:
    """`permutation` as a NumPy array, computed on the host."""
    with tf.device("CPU:0"):
        return permutation(count, seed, number, use).numpy()
