"""Makes the callback of a run directory: resume, guard, log, save."""

from __future__ import annotations

import keras
import numpy as np

from simclr_keras import compat
from simclr_keras import paths
from simclr_keras.distribute import workers
from simclr_keras.models.fit_position import FitPosition
from simclr_keras.training import checkpointing
from simclr_keras.training import resuming
from simclr_keras.training import run_settings
from simclr_keras.training import state
from simclr_keras.training.lock import RunLock
from simclr_keras.training.logs import Logs
from simclr_keras.training.loss_watch import LossWatch
from simclr_keras.training.profile import Profile
from simclr_keras.training.progress import Progress
from simclr_keras.training.run_directory import RunDirectory
from simclr_keras.training.saving import Saver


def callbacks(
    directory: paths.PathLike | RunDirectory,
    *,
    checkpoint_epochs: int = 1,
    checkpoint_steps: int = 0,
    checkpoint_minutes: float = 0.0,
    keep: int = 5,
    log_every: int = 50,
    profile_steps: tuple[int, int] | None = None,
    change_learning_rate: bool = False,
) -> list[keras.callbacks.Callback]:
    """Callbacks that make `fit` keep a run directory and resume from it.

    The same `fit` in the same directory goes on after the last checkpoint,
    within an epoch where the data set is one of `simclr_keras.data`, and on a
    CPU ends with the same weights, metrics and files, bit for bit. Checkpoints
    are written in the background; `best.npz` is that with the best accuracy on
    images that are not trained on (kNN or validation), where one is measured.
    SIGTERM and SIGINT save and end the process with code 75. While it trains,
    no other process can use the directory.

    Under a strategy of several processes each of them passes the callbacks;
    the first one writes, and its disk is the only one that matters.

    Args:
        directory: run directory, local or such as `gs://bucket/run`; made
            where it is missing. Of a `RunDirectory` whose `claim` has let flags
            change, they are written once the checkpoint has taken them.
        checkpoint_epochs: epochs between checkpoints; 0: only the last.
            Defaults to 1.
        checkpoint_steps: besides, steps between them; 0: none. Defaults to 0.
        checkpoint_minutes: besides, minutes after the last one; 0: none.
            Defaults to 0.
        keep: how many checkpoints are kept; 0 keeps all. Defaults to 5.
        log_every: steps between rows of `metrics.csv` and TensorBoard points;
            0 logs at the end of an epoch only. Defaults to 50.
        profile_steps: pair of the first and the last step, from 1, of which a
            TensorBoard profile is written. Defaults to None.
        change_learning_rate: whether the learning rate may be another than
            that of the run in the directory, which then goes on from its
            newest intact checkpoint with this one. Defaults to False.

    Returns:
        List of one Keras callback, for `fit(callbacks=...)`; put others that
        add to the logs (such as a kNN evaluation) before it.

    Raises:
        ValueError: a number that is negative, or steps that are none; or, when
            training begins, the directory holds a run of other settings, or is
            in use by another process.
    """
    for name, value in (
        ("checkpoint_epochs", checkpoint_epochs),
        ("checkpoint_steps", checkpoint_steps),
        ("checkpoint_minutes", checkpoint_minutes),
        ("keep", keep),
        ("log_every", log_every),
    ):
        if not 0 <= value < np.inf:
            raise ValueError(
                f"{name} must be at least 0. Received: {name}={value}"
            )
    run = directory
    if not isinstance(run, RunDirectory):
        run = RunDirectory(run)
    lock = RunLock(run.path)  # the caller can hold that of `run` for longer
    writer = checkpointing.Writer(run.checkpoints, keep)
    return [
        KeepRun(
            run,
            lock,
            change_learning_rate=change_learning_rate,
            profile=Profile(run.tensorboard, profile_steps),
            loss_watch=LossWatch(writer),
            logs=Logs(run, log_every),
            saver=Saver(
                run.checkpoints,
                lock,
                writer,
                epochs=checkpoint_epochs,
                steps=checkpoint_steps,
                minutes=checkpoint_minutes,
            ),
        )
    ]


class KeepRun(keras.callbacks.Callback):
    """Keeps a run directory while `fit` trains.

    The only place that says in which order its parts act, and why.

    Args:
        run: `RunDirectory`.
        lock: `RunLock` of it, which this callback takes and releases.
        change_learning_rate: see `callbacks`.
        profile: `Profile`.
        loss_watch: `LossWatch`.
        logs: `Logs`.
        saver: `Saver`.

    Attributes:
        last_step: step of the run after which `fit` ends, within its last
            fit epoch too, which `fit` is asked for; None: after that fit epoch.
    """

    def __init__(
        self,
        run: RunDirectory,
        lock: RunLock,
        *,
        change_learning_rate: bool,
        profile: Profile,
        loss_watch: LossWatch,
        logs: Logs,
        saver: Saver,
    ):
        super().__init__()
        self._run = run
        self._lock = lock
        self.last_step = None
        self._change_rate = change_learning_rate
        self._profile = profile
        self._loss_watch = loss_watch
        self._logs = logs
        self._saver = saver

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Resumes the run, or begins it.

        Raises:
            ValueError: the directory is in use, or of another run.
        """
        model = self.model
        # Nothing of the directory is read before it is ours.
        resuming.take_directory(self._lock, model.distribute_strategy)
        position = getattr(model, "fit_position", None)
        # Nobody counts in the `fit` of a model that is not ours, nor with a
        # `CallbackList`: then this callback does.
        self._counts = position is None or not position.followed
        if self._counts:
            position = position or FitPosition()
            position.steps = self.params.get("steps")
        self._progress = Progress(position)
        # The others begin at the step that it finds.
        self._metrics = resuming.resume(
            model, self._progress, self._run.checkpoints, self._change_rate
        )
        self._profile.begin(model, self._progress)
        self._loss_watch.begin(model, self._progress)
        self._logs.begin(model, self._progress)
        # From here on a signal waits for a step, which saves.
        self._saver.begin(model, self._progress)
        # Last: a run that is refused stays as it was, and no signal comes
        # between two of the files.
        self._run.write_new_flags()
        if workers.is_chief(model.distribute_strategy):
            self._run.record_start(
                step=self._progress.step, model=run_settings.of_model(model)
            )
        if self._is_done():  # its last fit epoch is a part, and done
            compat.set_resume_point(model, self.params["epochs"], 0)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Restores the metrics, which Keras has just reset."""
        compat.set_resume_point(self.model, None, None)  # for the next `fit`
        if self._counts:
            self._progress.position.begin_fit_epoch(epoch)
        if self._metrics is not None and self._progress.step_in_fit_epoch:
            state.write_metrics(self.model, self._metrics)
        else:
            self._progress.log_sums = {}
        self._metrics = None
        self._logs.begin_fit_epoch()

    def on_train_batch_begin(
        self, batch: int, logs: dict | None = None
    ) -> None:
        """Begins to trace the steps that are profiled."""
        self._profile.begin_step()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Logs and saves what is due.

        Raises:
            RuntimeError: the loss, or a weight, is not finite.
            Interrupted: a signal has come, and the step is saved.
        """
        logs = logs or {}
        if self._counts:
            self._progress.position.end_step(self.model)
        # First: the last checkpoint waits for the evaluations of its fit epoch.
        if self._is_done():
            self.model.stop_training = True
        # A trace is of steps, not of what is written between them.
        self._profile.end_step(logs)
        # A loss that is not finite is neither logged nor saved.
        self._loss_watch.end_step(logs)
        # A checkpoint holds the sums that were logged last: a run that goes
        # on from it logs the same rows.
        self._logs.end_step(logs)
        # Last, as a signal ends the run here.
        self._saver.end_step()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Logs its figures and what others measured at its end; saves."""
        logs = logs or {}
        if self._counts:
            self._progress.position.end_fit_epoch()
        self._progress.log_sums = {}  # Keras begins to sum anew
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        # In this order as after a step.
        self._logs.end_fit_epoch(logs)
        self._saver.end_fit_epoch(epoch, logs, last)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Returns when all is written; also where no step was left to run."""
        compat.set_resume_point(self.model, None, None)
        self._profile.release()
        self._logs.end()
        # Last: the directory is ours while anything is written.
        try:
            self._saver.end()
        finally:
            self._lock.release()

    @property
    def progress(self) -> Progress:
        """Where the run stands, while `fit` trains."""
        return self._progress

    def _is_done(self):
        return self.last_step and self._progress.has_come_to(self.last_step)

    def release(self) -> None:
        """Called by `fit` of our models when it has ended, by an error too."""
        if self.model is not None:  # else `fit` was refused before it began
            compat.set_resume_point(self.model, None, None)
        try:
            self._profile.release()
        finally:
            self._saver.release()
            self._lock.release()
