"""Draws the random numbers of each image before XLA works on its pixels."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from simclr_keras import randomness
from simclr_keras.images import xla


def uniforms(seeds: tf.Tensor, streams: Sequence[int]) -> dict[int, tf.Tensor]:
    """One uniform number in [0, 1) per image and stream.

    Args:
        seeds: `uint32` tensor `[B, 2]` of `randomness.stateless_seeds`.
        streams: sequence of stream numbers.

    Returns:
        Dictionary from stream to `float32` tensor `[B]`, the same numbers as
        `randomness.uniforms(seeds, 1, stream)`.
    """
    count, batch = len(streams), tf.shape(seeds)[0]
    # All streams in one call, so the graph holds one generator, not a dozen.
    column = tf.tile(tf.constant(streams, tf.int64), [batch])[:, None]
    seeds = tf.repeat(seeds, count, axis=0)
    numbers = randomness.uniforms(seeds, 1, column)
    numbers = xla.fusion_barrier(tf.reshape(numbers, [batch, count]))
    return dict(zip(streams, tf.unstack(numbers, axis=1)))
