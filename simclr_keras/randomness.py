"""Draws random numbers that depend on seed, step, position and view alone.

All random choices of training are drawn here, without state, so a batch is the
same however it is split over replicas and whenever a run was resumed. The
generator is Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3"), implemented with `uint32` TensorFlow operations:
static shapes, the same bits on CPU, GPU and TPU, and compilable by XLA.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from simclr_keras import scalars

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_MASK = 0xFFFFFFFF
# What is shuffled: the `view` of `stateless_seeds`; those of images are lower.
EXAMPLES, FILES, BUFFER, SUBSET, HOLD_OUT, SPLIT = range(100, 106)


def _rotate_left(x, bits):
    return tf.bitwise.bitwise_or(
        tf.bitwise.left_shift(x, bits),
        tf.bitwise.right_shift(x, 32 - bits),
    )


def threefry(
    key: tuple[tf.Tensor, tf.Tensor], counter: tuple[tf.Tensor, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Encrypts a counter with a key: Threefry-2x32, 20 rounds.

    Args:
        key: pair of `uint32` tensors.
        counter: pair of `uint32` tensors, broadcastable with those of `key`.

    Returns:
        Pair of `uint32` tensors of 32 random bits per element.

    Reference:
        Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy
        as 1, 2, 3", section 4.2.
    """
    k0, k1 = key
    k2 = tf.bitwise.bitwise_xor(k0, k1)
    k2 = tf.bitwise.bitwise_xor(k2, tf.constant(_PARITY, tf.uint32))
    x0, x1 = counter[0] + k0, counter[1] + k1
    zeros = tf.zeros_like(x0 + x1)  # in the broadcast shape
    rotations = tf.constant(_ROTATIONS, tf.uint32)

    def four_rounds(block, x0, x1, k0, k1, k2):
        for bits in tf.unstack(rotations[block % 2]):
            x0 = x0 + x1
            x1 = tf.bitwise.bitwise_xor(_rotate_left(x1, bits), x0)
        block += 1
        x1 += k2 + tf.cast(block, tf.uint32)
        return block, x0 + k1, x1, k1, k2, k0

    # A loop, because LLVM does not cope with twenty unrolled rounds: its
    # vectoriser follows both operands of each round, along 2^20 paths.
    return tf.while_loop(
        lambda *_: True,
        four_rounds,
        (tf.constant(0), x0 + zeros, x1 + zeros, k0, k1, k2),
        maximum_iterations=5,
    )[1:3]


def _low_word(x):
    x = tf.bitwise.bitwise_and(tf.cast(x, tf.int64), _MASK)
    return tf.cast(x, tf.uint32)


def stateless_seeds(
    seed: int, step: int | tf.Tensor, positions: tf.Tensor, view: int
) -> tf.Tensor:
    """Computes one seed for each image of a batch.

    Args:
        seed: Python integer, the seed of the run; its low 64 bits are used.
        step: integer scalar, the training step (0, 1, ...), below 2^32.
        positions: integer tensor `[B]`, the position of each image in the
            global batch.
        view: Python integer, the number of the view of an image.

    Returns:
        `uint32` tensor `[B, 2]`, a pure function of the arguments.
    """
    seed = scalars.plain(seed)
    key = (
        tf.constant(seed & _MASK, tf.uint32),
        tf.constant((seed >> 32) & _MASK, tf.uint32),
    )
    key = threefry(key, (_low_word(step), tf.constant(view, tf.uint32)))
    positions = _low_word(positions)
    return tf.stack(threefry(key, (positions, tf.zeros_like(positions))), -1)


def random_bits(
    seeds: tf.Tensor, count: int, stream: int | tf.Tensor
) -> tf.Tensor:
    """Draws random 32-bit words for every seed.

    Args:
        seeds: `uint32` tensor `[B, 2]` of `stateless_seeds`.
        count: number of words per seed.
        stream: integer (Python or tensor) that distinguishes the uses of one
            seed (crop, colour, ...); different streams are independent.

    Returns:
        `uint32` tensor `[B, count]`.
    """
    pairs = (count + 1) // 2
    counter = tf.range(pairs, dtype=tf.int64)[None]
    words = threefry(
        (seeds[:, :1], seeds[:, 1:]),
        (tf.cast(counter, tf.uint32), _low_word(stream)),
    )
    return tf.concat(words, axis=1)[:, :count]


def uniforms(
    seeds: tf.Tensor,
    count: int,
    stream: int | tf.Tensor,
    low: float = 0.0,
    high: float = 1.0,
) -> tf.Tensor:
    """Draws uniform random numbers for every seed.

    Args:
        seeds: `uint32` tensor `[B, 2]` of `stateless_seeds`.
        count: number of values per seed.
        stream: see `random_bits`.
        low: lower bound, inclusive.
        high: upper bound, exclusive up to rounding.

    Returns:
        `float32` tensor `[B, count]`.
    """
    bits = tf.bitwise.right_shift(
        random_bits(seeds, count, stream), tf.constant(8, tf.uint32)
    )
    unit = tf.cast(tf.cast(bits, tf.int32), tf.float32) * 2.0**-24
    return low + (high - low) * unit


def normals(seeds: tf.Tensor, count: int, stream: int | tf.Tensor) -> tf.Tensor:
    """Draws standard normal numbers for every seed (Box and Muller).

    Args:
        seeds: `uint32` tensor `[B, 2]` of `stateless_seeds`.
        count: number of values per seed.
        stream: see `random_bits`.

    Returns:
        `float32` tensor `[B, count]`.
    """
    pairs = (count + 1) // 2
    u = uniforms(seeds, 2 * pairs, stream)
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - u[:, :pairs]))
    angle = 2.0 * math.pi * u[:, pairs:]
    numbers = [radius * tf.cos(angle), radius * tf.sin(angle)]
    return tf.concat(numbers, axis=1)[:, :count]


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
    # As a NumPy scalar it would be a tensor in the graph.
    seed = scalars.plain(seed)
    return _permutation(count, seed, tf.cast(number, tf.int64), use)


@tf.function(autograph=False)
def _permutation(count, seed, number, use):
    """Traced once per (count, seed, use), not in every dataset again."""
    positions = tf.range(count, dtype=tf.int64)
    words = stateless_seeds(seed, number, positions, use)
    words = tf.cast(words, tf.int64)
    keys = tf.bitwise.bitwise_xor(words[:, 0] * 2**31, words[:, 1])
    return tf.cast(tf.argsort(keys, stable=True), tf.int64)


def shuffled(count: int, seed: int, number: int, use: int) -> np.ndarray:
    """`permutation` as a NumPy array, computed on the host."""
    with tf.device("CPU:0"):
        return permutation(count, seed, number, use).numpy()
