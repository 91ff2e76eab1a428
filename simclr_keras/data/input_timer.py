"""Measures how long a training waits for its input."""

from __future__ import annotations

import time

import tensorflow as tf

# Number of the newest batches whose arrival times are kept: more than a
# strategy has on their way to its devices.
_ON_THE_WAY = 64


class InputTimer:
    """Times batches at the end of a pipeline, in TensorFlow, without Python.

    It adds up the time from the request for a batch until its arrival. Under a
    distribution strategy a thread requests batches ahead; for `waited_since`,
    the arrival times are kept too.
    """

    def __init__(self):
        with tf.device("CPU:0"):
            self._waited = tf.Variable(0.0, trainable=False, dtype=tf.float64)
            self._there = tf.Variable(
                tf.zeros([_ON_THE_WAY], tf.float64), trainable=False
            )

    def watch(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the same batches, timed.

        Args:
            dataset: `tf.data.Dataset` that ends with `prefetch`, so that it
                makes its batches ahead.
        """
        asked = tf.data.Dataset.range(2**62).map(
            lambda number: (number, tf.timestamp())
        )

        def note(ask, batch):
            number, since = ask
            now = tf.timestamp()
            self._waited.assign_add(now - since, read_value=False)
            place = tf.reshape(number % _ON_THE_WAY, [1, 1])
            self._there.scatter_nd_update(place, now[tf.newaxis])
            return batch

        note = tf.autograph.experimental.do_not_convert(note)
        options = tf.data.Options()
        # A prefetch that TensorFlow appended would request batches ahead.
        options.experimental_optimization.inject_prefetch = False
        timed = tf.data.Dataset.zip((asked, dataset)).map(note)
        return timed.with_options(options)

    def waited(self) -> float:
        """Seconds waited for all batches so far."""
        return float(self._waited.numpy())

    def waited_since(self, number: int, moment: float) -> float:
        """Seconds from a moment until a batch of an iteration had arrived.

        Args:
            number: the batch's number in its iteration, from 0; one of the
                newest.
            moment: `now()` at the time when the batch was needed.
        """
        there = float(self._there[number % _ON_THE_WAY].numpy())
        return max(0.0, there - moment)


def now() -> float:
    """Time in seconds, of the clock that the pipeline reads."""
    return time.time()
