"""Makes the callback of a run directory: resume, guard, log, save."""

from __future__ import annotations

import warnings

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
    """Makes callbacks with which `fit` keeps a run directory and resumes.

    The same `fit` in the same directory resumes after the last checkpoint, in
    the middle of an epoch if the data set is one of `simclr_keras.data`. On a
    CPU it ends with the same weights, metrics and files, bit for bit.
    Checkpoints are written in the background. `best.npz` is the checkpoint with
    the best accuracy on images that are not trained on (kNN or validation), if
    one is measured. After SIGTERM or SIGINT the run is saved, if it can resume
    there (see above), and the process ends with code 75. During training, no
    other process can use the directory.

    Under a strategy of several processes, each of them passes the callbacks;
    only the first one reads and writes the directory, so only its disk matters.

    Args:
        directory: run directory, local or such as `gs://bucket/run`; created if
            it is missing. If it is a `RunDirectory` whose `claim` let flags
            change, they are written once the run has resumed with them.
        checkpoint_epochs: epochs between checkpoints; 0: only the last and,
            as `best.npz`, the best. Defaults to 1.
        checkpoint_steps: steps between additional checkpoints; 0: none.
            Defaults to 0.
        checkpoint_minutes: minutes from a checkpoint to an additional one; 0:
            none. Defaults to 0.
        keep: how many checkpoints are kept beside `best.npz`; 0 keeps all.
            Defaults to 5.
        log_every: steps between rows of `metrics.csv` and TensorBoard points;
            0 logs at the end of an epoch only. Defaults to 50.
        profile_steps: pair of the first and the last step of a TensorBoard
            profile, counted from 1. Defaults to None.
        change_learning_rate: whether the learning rate may differ from that of
            the run in the directory. The run then resumes from its newest
            intact checkpoint with the new rate. Defaults to False.

    Returns:
        List of one Keras callback, for `fit(callbacks=...)`; put others that
        add to the logs (such as a kNN evaluation) before it.

    Raises:
        ValueError: a number is negative, or `profile_steps` is not such a pair;
            or, when training begins, the directory holds a run of other
            settings, or is in use by another process.
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
        RunCallback(
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


class RunCallback(keras.callbacks.Callback):
    """Keeps a run directory while `fit` trains.

    The order in which its parts act matters; comments here say why.

    Args:
        run: `RunDirectory`.
        lock: `RunLock` of it, which this callback takes and releases.
        change_learning_rate: see `callbacks`.
        profile: `Profile`.
        loss_watch: `LossWatch`.
        logs: `Logs`.
        saver: `Saver`.

    Attributes:
        last_step: step of the run after which `fit` ends, perhaps in the middle
            of the last fit epoch; None: at the end of that fit epoch.
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
        # First, so that nothing is read before the directory is locked.
        resuming.take_directory(self._lock, model.distribute_strategy)
        position = getattr(model, "fit_position", None)
        # `fit` of other models does not count steps, nor does that of ours with
        # a `CallbackList`: then this callback counts.
        self._counts = position is None or not position.followed
        if self._counts:
            position = position or FitPosition()
            position.steps = self.params.get("steps")
        self._progress = Progress(position)
        if getattr(model.optimizer, "use_ema", False):
            warnings.warn(
                "checkpoints have the weights that the optimizer moves, and not"
                " their averages (use_ema), with which fit ends: save the model"
                " after fit to keep these.",
                stacklevel=2,
            )
        # Before the checkpoint, as callbacks may change the learning rate.
        settings = run_settings.of_model(model)
        # Before the other parts, which begin at the step that it restores.
        self._metrics = resuming.resume(
            model,
            settings,
            self._progress,
            self._run.checkpoints,
            self._change_rate,
        )
        self._profile.begin(model, self._progress)
        self._loss_watch.begin(model, self._progress)
        self._logs.begin(model, self._progress)
        # From here on, a signal takes effect after a step, which is saved.
        self._saver.begin(model, self._progress)
        # Last, so that a refused run keeps its files, and no signal interrupts
        # between two of them.
        self._run.write_new_flags()
        if workers.is_chief(model.distribute_strategy):
            self._run.record_start(step=self._progress.step, model=settings)
        if self._is_done():  # the last fit epoch is partial, and done
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
        # First: the saver then knows that the fit epoch ends here, and saves
        # after its evaluations.
        if self._is_done():
            self.model.stop_training = True
        # Before logs and checkpoints are written, which a trace must not show.
        self._profile.end_step(logs)
        # A loss that is not finite is neither logged nor saved.
        self._loss_watch.end_step(logs)
        # Before saving: a checkpoint contains the sums at the last log, so that
        # a run that resumes from it logs the same rows.
        self._logs.end_step(logs)
        # Last, as a signal ends the run here.
        self._saver.end_step()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Logs the fit epoch's metrics and those of other callbacks; saves."""
        logs = logs or {}
        if self._counts:
            self._progress.position.end_fit_epoch()
        self._progress.log_sums = {}  # Keras resets its sums
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        # The same order as after a step.
        self._logs.end_fit_epoch(logs)
        self._saver.end_fit_epoch(epoch, logs, last)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Waits until all is written; also called if no step was left."""
        compat.set_resume_point(self.model, None, None)
        self._profile.release()
        self._logs.end()
        # The lock last: it is held while anything is written.
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
        """Called by `fit` of our models when it has ended, even by an error."""
        if self.model is not None:  # else `fit` was refused before it began
            compat.set_resume_point(self.model, None, None)
        try:
            self._profile.release()
        finally:
            self._saver.release()
            self._lock.release()
