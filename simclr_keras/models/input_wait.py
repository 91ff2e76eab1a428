"""Measures which share of its time a training waits for input."""

from __future__ import annotations

import time

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.distribute import workers
from simclr_keras.models.fit_position import FitPosition

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
            moment: when the batch was needed, by `time.time()`, which is the
                clock of the pipeline.
        """
        there = float(self._there[number % _ON_THE_WAY].numpy())
        return max(0.0, there - moment)


class InputWait:
    """Adds up the time of a `fit` and the time that it waited for input.

    Without a distribution strategy, a step requests its batch from the
    pipeline, and the pipeline measures the time until the batch arrives. Under
    a strategy, threads request batches ahead. The wait is then the time from
    the beginning of the step in Python until its batch has left the pipeline;
    the transfer to the devices is not counted.

    Attributes:
        waited: seconds waited for input.
        seconds: seconds from the beginning of each fit epoch to its last step.
        timer: `InputTimer` of the pipeline.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        with strategy.scope():
            self._ahead = tf.distribute.has_strategy()
        self._endless = (
            compat.ONE_ITERATION_FOR_ALL_EPOCHS
            and workers.spans_processes(strategy)
        )
        self.timer = InputTimer()
        self.waited = self.seconds = 0.0

    def begin_fit_epoch(self) -> None:
        """Starts the clock; time between fit epochs does not count."""
        self._since = time.perf_counter()
        self._before = self.timer.waited()

    def begin_step(self, position: FitPosition) -> None:
        """Records when the step needs its batch, and the number of that batch.

        Args:
            position: `FitPosition` before the step.
        """
        self._asked = time.time()
        begun = position.step - position.first_step  # in this fit epoch
        self._number = position.done if self._endless else begun

    def end_step(self) -> None:
        """Adds the time that the step took, and the time that it waited."""
        if self._ahead:
            self.waited += self.timer.waited_since(self._number, self._asked)
        else:
            before, self._before = self._before, self.timer.waited()
            self.waited += self._before - before
        before, self._since = self._since, time.perf_counter()
        self.seconds += self._since - before


def share(
    later: tuple[float, float],
    earlier: tuple[float, float] = (0.0, 0.0),
) -> float | None:
    """Share of the time between two moments that was spent waiting, or None.

    Args:
        later: pair `(waited, seconds)` of an `InputWait`.
        earlier: the same at an earlier moment.
    """
    waited, seconds = (b - a for a, b in zip(earlier, later))
    return min(1.0, max(0.0, waited / seconds)) if seconds > 0 else None


def so_far(model: keras.Model) -> tuple[float, float]:
    """`(waited, seconds)` of the training of a model; zeros if unknown."""
    measured = getattr(model, "input_wait", None)
    if measured is None:
        return 0.0, 0.0
    return measured.waited, measured.seconds
