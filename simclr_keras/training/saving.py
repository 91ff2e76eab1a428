"""Writes checkpoints when they are due, and ends a run after a signal."""

from __future__ import annotations

import sys
import time
from typing import Any

import keras

from simclr_keras import paths
from simclr_keras.distribute import votes
from simclr_keras.distribute import workers
from simclr_keras.training import checkpointing
from simclr_keras.training import finite
from simclr_keras.training import interruption
from simclr_keras.training.lock import RunLock
from simclr_keras.training.progress import Progress

# Metrics by which the best checkpoint is chosen: the first of these that a run
# logs. All are measured on images that are not trained on; without any of them
# there is no best checkpoint.
BEST_BY = ("knn_accuracy", "val_probe_accuracy", "val_accuracy")


class Saver:
    """Writes checkpoints when they are due, and at the end of training.

    After a signal it writes a last one and ends the run: after the current
    step, or, if that is the last of its fit epoch, after the fit epoch's
    evaluations.

    Args:
        directory: path object of the run's directory of checkpoints.
        lock: `RunLock` of the run's directory, held while it trains.
        writer: `checkpointing.Writer`.
        epochs: fit epochs between checkpoints; 0: none but the last.
        steps: steps between them; 0: none.
        minutes: minutes after the last one; 0: none.
    """

    def __init__(
        self,
        directory: paths.AnyPath,
        lock: RunLock,
        writer: checkpointing.Writer,
        *,
        epochs: int,
        steps: int,
        minutes: float,
    ):
        self._directory, self._lock = directory, lock
        self._epochs, self._steps, self._minutes = epochs, steps, minutes
        self._writer = writer
        self._signals = interruption.Signals()

    def begin(self, model: keras.Model, progress: Progress) -> None:
        """Begins to watch signals and the clock.

        Args:
            model: the model that is fitted.
            progress: `Progress` of the run.
        """
        self._model, self._progress = model, progress
        strategy = model.distribute_strategy
        self._chief = workers.is_chief(strategy)
        self._votes = votes.Votes(strategy)
        self._clock = time.monotonic()
        self._stop = self._pending = False
        self._saved = progress.step or None  # the step it was resumed from
        self._signals.watch()

    def end_step(self) -> None:
        """Saves if a checkpoint is due in the middle of a fit epoch.

        Raises:
            Interrupted: a signal has come.
        """
        minutes = (time.monotonic() - self._clock) / 60
        stop, late = self._votes.any_worker(
            self._signals.received is not None,
            bool(self._minutes) and minutes >= self._minutes,
        )
        self._stop |= stop
        due = self._progress.passed(self._steps)
        self._pending |= bool(due or late or stop)
        position = self._progress.position
        last = position.fit_epoch_is_done or self._model.stop_training
        if not self._pending or last:
            return  # the fit epoch's evaluations come first
        if position.starts_within:
            self._save()
        self._end_where_asked()

    def end_fit_epoch(
        self, number: int, logs: dict[str, Any], last: bool
    ) -> None:
        """Saves if a checkpoint is due, or is the best or the last one.

        Args:
            number: number of the fit epoch, from 0.
            logs: dict of its metrics, including those of evaluations.
            last: whether the training ends with it.

        Raises:
            Interrupted: a signal has come, and there are more fit epochs.
        """
        best = self._is_best(logs)
        due = self._epochs and (number + 1) % self._epochs == 0
        if self._pending or due or last or best:
            self._save(best)
        if not last:
            self._end_where_asked()

    def end(self) -> None:
        """Waits until the last checkpoint is on the disk."""
        self._signals.release()
        self._writer.wait()

    def release(self) -> None:
        """Called when `fit` has ended, even by an error."""
        self._signals.release()
        self._writer.join()  # so that it does not write during the next `fit`

    def _save(self, best=False):
        self._pending = False
        self._clock = time.monotonic()
        packed = checkpointing.pack(self._model, self._progress.notes())
        bad = finite.not_finite(packed)
        if bad:
            what = f"{len(bad)} arrays of the training, such as {bad[0]}, are"
            what += f" not finite after step {self._progress.step}"
            finite.stop(what, self._writer.newest() if self._chief else "")
        self._saved = self._progress.step
        if self._chief:
            self._lock.check()
            self._writer.submit(packed, best)

    def _is_best(self, logs):
        """Whether this is the best epoch so far, by the chief's metrics."""
        name = next((name for name in BEST_BY if name in logs), None)
        best = False
        if name is not None and self._chief:
            value, known = float(logs[name]), self._progress.best
            rank = len(BEST_BY)
            # Checkpoints of early releases may note the probe's training
            # accuracy.
            if known is not None and known["name"] in BEST_BY:
                rank = BEST_BY.index(known["name"])
            better = known is None or value > known["value"]
            own = BEST_BY.index(name)
            best = own < rank or (own == rank and better)
        best = workers.value_of_chief(self._model.distribute_strategy, best)
        if best and name is not None:
            self._progress.best = {
                "name": name,
                "value": float(logs[name]),
                "step": self._progress.step,
            }
        return best

    def _end_where_asked(self):
        if not self._stop:
            return
        self._writer.wait()
        why = self._signals.received or "Another worker was stopped"
        what = "nothing is saved"
        then = "begins again"
        if self._saved is not None:
            what, then = f"saved step {self._saved}", "goes on from there"
        where = f" in {self._directory}" if self._chief else ""
        print(
            f"\n{why}: {what}{where}; the same command {then}. Exit code"
            f" {interruption.EXIT_CODE}.",
            file=sys.stderr,
            flush=True,
        )
        raise interruption.Interrupted
