"""Random numbers of each image, kept apart from the work on its pixels."""

import tensorflow as tf

from simclr_keras import randomness


def materialise(x):
    """Returns `x` `[B, K]` unchanged, but as numbers that XLA has stored.

    XLA fuses the making of a number into every pixel that uses it, and would
    make it once per pixel. A loop ends a fusion; this one turns the columns
    around twice.
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
        Dictionary: stream -> `float32` tensor `[B]`, the same numbers as
        `randomness.uniforms(seeds, 1, stream)`.
    """
    count, batch = len(streams), tf.shape(seeds)[0]
    # All streams in one call: one random generator in the graph, not a dozen.
    column = tf.tile(tf.constant(streams, tf.int64), [batch])[:, None]
    seeds = tf.repeat(seeds, count, axis=0)
    numbers = randomness.uniforms(seeds, 1, column)
    numbers = materialise(tf.reshape(numbers, [batch, count]))
    return dict(zip(streams, tf.unstack(numbers, axis=1)))
