"""Writes checkpoints when they are due, and resumes a run from the newest."""

import sys
import time

import keras
import numpy as np

from simclr_keras import compat
from simclr_keras.distribute import workers
from simclr_keras.models import epoch_steps
from simclr_keras.training import checkpointing
from simclr_keras.training import finite
from simclr_keras.training import identity
from simclr_keras.training import interruption
from simclr_keras.training import state

# What the best checkpoint is chosen by: the first of these that a run logs. All
# are of images that are not trained on: without any, no checkpoint is the best.
BEST_BY = ("knn_accuracy", "val_probe_accuracy", "val_accuracy")


class Resume(keras.callbacks.Callback):
    """Restores the newest intact checkpoint, and counts rounds and steps.

    Of several processes the chief reads the file and sends it to the others,
    which need not see its disk.
    """

    def __init__(self, directory, progress, lock, change_learning_rate=False):
        super().__init__()
        self._directory = directory
        self._progress = progress
        self._lock = lock
        self._change_rate = change_learning_rate
        self._metrics = None

    def on_train_begin(self, logs=None):
        """Loads weights and optimizer and moves `fit` to the right place.

        Raises:
            ValueError: the directory is in use, or of another run.
        """
        strategy = self.model.distribute_strategy
        self._take_directory(strategy)
        self._progress.steps_per_epoch = getattr(
            self.model, "steps_per_epoch", None
        )
        # Now: the optimizer's learning rate may change, as callbacks can.
        self._progress.identity = identity.of(self.model)
        name, data = self._newest(strategy)
        if not data:
            done = compat.as_numpy(self.model.optimizer.iterations)
            self._progress.begin(self.model, int(done))
            return
        arrays, notes, _ = checkpointing.read(data)
        here, there = self._progress.identity, notes.get("identity", {})
        if self._change_rate:
            print(identity.allow_other_rate(there, here))
        different = identity.differences(there, here) if there else {}
        identity.refuse_other(self._directory, different)
        self._check_rounds(name, notes)
        self._progress.restore(notes)
        self._progress.identity = {**here, **there}
        number, step = self._progress.round, self._progress.step_in_round
        if step and not getattr(self.model, "starts_within", False):
            raise ValueError(
                "the data set must be one of simclr_keras.data to go on within"
                f" an epoch. Received: {name}, {self._progress.where()}"
            )
        rate = compat.settable_learning_rate(self.model.optimizer)
        state.write_model(self.model, arrays)
        if self._change_rate and rate is not None:
            self.model.optimizer.learning_rate = rate
        self._metrics = state.metrics_alone(arrays)
        self.model.start = (number, step)
        compat.set_resume_point(self.model, number, step)
        within = f", {self._progress.where()}" if step else ""
        print(f"Resumed from {name} (step {self._progress.step}{within}).")

    def _check_rounds(self, name, notes):
        """Refuses batches that are grouped otherwise than in the checkpoint."""
        here = getattr(self.model, "epochs_per_round", 1)
        there = notes.get("epochs_per_round", here)  # early ones do not say
        if there != here and getattr(self.model, "starts_within", False):
            raise ValueError(
                f"the data set must be grouped as before, {there} epochs of"
                f" the data in one of `fit`, to go on with {name}. Received:"
                f" {here}"
            )

    def _take_directory(self, strategy):
        """Locks the directory, on the chief; no process goes on without."""
        error = b""
        if workers.is_chief(strategy):
            try:
                self._lock.acquire()
            except (ValueError, OSError) as refusal:
                error = str(refusal).encode()
        error = workers.broadcast(strategy, error)
        if error:
            raise ValueError(error.decode())

    def _newest(self, strategy):
        """Path and bytes of the newest intact checkpoint, of the chief's."""
        name = data = b""
        if workers.is_chief(strategy):
            newest = checkpointing.newest_intact(self._directory)
            if newest is not None:
                name, data = str(newest).encode(), newest.read_bytes()
        name = workers.broadcast(strategy, name).decode()
        return name, workers.broadcast(strategy, data)

    def on_epoch_begin(self, epoch, logs=None):
        """Restores the metrics, which Keras has just reset."""
        compat.set_resume_point(self.model, None, None)  # for the next `fit`
        if self._metrics is not None and self._progress.step_in_round:
            state.write_metrics(self.model, self._metrics)
            self._progress.round = epoch
        else:
            self._progress.begin_round(epoch)
        self._metrics = None

    def on_train_batch_end(self, batch, logs=None):
        """Counts the steps."""
        left = self.params.get("steps")
        if left is not None:
            left -= self._progress.step_in_round
        self._progress.add(epoch_steps.executed(self.model, left))

    def on_epoch_end(self, epoch, logs=None):
        """Counts the rounds."""
        self._progress.end_round(epoch)

    def on_train_end(self, logs=None):
        """Clears the resume point, also where no epoch was run."""
        compat.set_resume_point(self.model, None, None)


class Save(keras.callbacks.Callback):
    """Writes checkpoints at their times, and at the end.

    A signal ends the run with a last one: after the step that is running, or,
    where that is the last of its epoch, after the epoch's evaluations.
    """

    def __init__(
        self, directory, progress, lock, writer, *, epochs, steps, minutes
    ):
        super().__init__()
        self._directory = directory
        self._progress = progress
        self._lock = lock
        self._epochs, self._steps, self._minutes = epochs, steps, minutes
        self._writer = writer
        self._signals = interruption.Signals()

    def on_train_begin(self, logs=None):
        """Begins to watch signals and the clock."""
        strategy = self.model.distribute_strategy
        self._chief = workers.is_chief(strategy)
        self._votes = workers.Votes(strategy)
        self._clock = time.monotonic()
        self._stop = self._pending = False
        self._step = self._progress.step
        self._saved = self._step or None  # what it was resumed from
        self._signals.watch()

    def on_train_batch_end(self, batch, logs=None):
        """Saves where it is time, within an epoch."""
        before, self._step = self._step, self._progress.step
        minutes = (time.monotonic() - self._clock) / 60
        stop, late = self._votes.any_worker(
            self._signals.received is not None,
            bool(self._minutes) and minutes >= self._minutes,
        )
        self._stop |= stop
        due = self._steps and before // self._steps < self._step // self._steps
        self._pending |= bool(due or late or stop)
        last = self._progress.step_in_round == self.params.get("steps")
        last |= self.model.stop_training
        if not self._pending or last:
            return  # the epoch's evaluations come first
        if getattr(self.model, "starts_within", False):
            self._save()
        self._end_where_asked()

    def on_epoch_end(self, epoch, logs=None):
        """Saves after every so many epochs, the best one and the last."""
        best = self._is_best(logs or {})
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        due = self._epochs and (epoch + 1) % self._epochs == 0
        if self._pending or due or last or best:
            self._save(best)
        if not last:
            self._end_where_asked()

    def on_train_end(self, logs=None):
        """Returns when the last checkpoint is on the disk."""
        self._signals.release()
        try:
            self._writer.wait()
        finally:
            self._lock.release()

    def release(self):
        """Called when `fit` has ended, by an error too."""
        self._signals.release()
        self._writer.join()  # or it would write on beside the next `fit`
        self._lock.release()

    def _save(self, best=False):
        self._pending = False
        self._clock = time.monotonic()
        packed = checkpointing.pack(self.model, self._progress.notes())
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
        """Whether this is the best epoch so far, by the chief's figures."""
        name = next((name for name in BEST_BY if name in logs), None)
        best = False
        if name is not None and self._chief:
            value, known = float(logs[name]), self._progress.best
            rank = len(BEST_BY)
            # Early checkpoints can have noted the probe's training accuracy.
            if known is not None and known["name"] in BEST_BY:
                rank = BEST_BY.index(known["name"])
            better = known is None or value > known["value"]
            own = BEST_BY.index(name)
            best = own < rank or (own == rank and better)
        votes = np.array([best], np.int32)
        best = workers.worker_sum(self.model.distribute_strategy, votes)[0] > 0
        if best and name is not None:
            self._progress.best = {
                "name": name,
                "value": float(logs[name]),
                "step": self._progress.step,
            }
        return bool(best)

    def _end_where_asked(self):
        if not self._stop:
            return
        self._writer.wait()
        why = self._signals.received or "Another worker was stopped"
        what = "nothing" if self._saved is None else f"step {self._saved}"
        where = f" in {self._directory}" if self._chief else ""
        print(
            f"\n{why}: saved {what}"
            f"{where}; the same command goes on from there. Exit"
            f" code {interruption.EXIT_CODE}.",
            file=sys.stderr,
            flush=True,
        )
        raise interruption.Interrupted
