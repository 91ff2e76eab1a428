"""Lets the processes of a training agree on a step at which all act."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from simclr_keras.distribute import workers

# Largest number of steps between two votes, and the seconds aimed at.
_MOST_STEPS, _VOTE_SECONDS = 100, 1.0


class Votes:
    """Lets processes agree on a step at which all of them act.

    With one process, any vote passes at once. Several processes vote about
    once a second, because a collective at every step would slow down short
    steps.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        self._alone = not workers.spans_processes(strategy)
        self._step, self._every = 0, 1
        self._clock = time.perf_counter()

    def any_worker(self, *votes) -> tuple[bool, ...]:
        """Whether any process votes yes; all must call this at every step.

        Args:
            *votes: booleans of this process, one for each question.

        Returns:
            Tuple of booleans, the same in every process; between two votes
            all are False.
        """
        if self._alone:
            return votes
        self._step += 1
        if self._step < self._every:
            return (False,) * len(votes)
        now = time.perf_counter()
        own = np.array([*votes, now - self._clock], np.float32)
        *sums, seconds = workers.worker_sum(self._strategy, own)
        seconds /= workers.worker_count(self._strategy) * self._step
        steps = _VOTE_SECONDS / max(float(seconds), 1e-6)
        self._every = int(min(max(steps, 1), _MOST_STEPS))
        self._step, self._clock = 0, now
        return tuple(total > 0 for total in sums)
