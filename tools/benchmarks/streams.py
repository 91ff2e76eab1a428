"""Pipelines to compare: how fast batches come when nothing else is done."""

import importlib.util
import itertools


class Stream:
    """Batches that are asked for as fast as they come.

    Args:
        start: function that returns a new, endless iterator over batches; a
            batch that is returned is there, on whatever device.
        batch: images in a batch.
        steps: batches to be timed in a row.
    """

    def __init__(self, start, batch, steps):
        self._start, self._batch, self._steps = start, batch, steps
        self.run(_Nothing())  # builds and traces

    def run(self, timer):
        """Draws from a new iterator; returns the number of images."""
        # The iterator ends with this run, and with it what works ahead.
        batches = iter(self._start())
        # Until buffers are as full as they stay.
        for _ in itertools.islice(batches, 1 + self._steps // 2):
            pass
        timer.start()
        for _ in itertools.islice(batches, self._steps):
            pass
        timer.stop()
        return self._steps * self._batch


class _Nothing:
    """A timer that keeps no time."""

    def start(self):
        """Nothing."""

    def stop(self):
        """Nothing."""


def missing(*packages):
    """Names of those packages that are not installed."""
    return [p for p in packages if importlib.util.find_spec(p) is None]
