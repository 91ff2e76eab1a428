"""Draws the random numbers of each image before XLA works on its pixels."""

import tensorflow as tf

from simclr_keras import randomness


def xla_fusion_barrier(x):
    """Returns `x` `[B, K]` unchanged, and makes XLA store it in memory.

    XLA would fuse the random generator into the work on pixels, and so compute
    an image's numbers again for every pixel. A loop ends a fusion; this one
    reverses the columns twice.
    """
    return tf.while_loop(
        lambda _: True,
        lambda x: (tf.reverse(x, axis=[1]),),
        (x,),
        maximum_iterations=2,
    )[0]


def uniforms(seeds, streams):
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
    numbers = xla_fusion_barrier(tf.reshape(numbers, [batch, count]))
    return dict(zip(streams, tf.unstack(numbers, axis=1)))
