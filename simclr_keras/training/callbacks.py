"""Makes the callbacks of a run: resume, guard, log, save."""

import time

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import disk
from simclr_keras.distribute import workers
from simclr_keras.models import input_wait
from simclr_keras.training import checkpointing
from simclr_keras.training import finite
from simclr_keras.training import state
from simclr_keras.training.metrics_file import MetricsFile
from simclr_keras.training.profile import Profile
from simclr_keras.training.progress import Progress
from simclr_keras.training.run_directory import RunDirectory
from simclr_keras.training.saving import Resume
from simclr_keras.training.saving import Save


def callbacks(
    directory,
    *,
    checkpoint_epochs=1,
    checkpoint_steps=0,
    checkpoint_minutes=0.0,
    keep=5,
    log_every=50,
    profile_steps=None,
    change_learning_rate=False,
):
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
            where it is missing.
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
        List of Keras callbacks, for `fit(callbacks=...)`; put others that add
        to the logs (such as a kNN evaluation) before them.

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
    run, progress = RunDirectory(directory), Progress()
    writer = checkpointing.Writer(run.checkpoints, keep)
    profile = []
    if profile_steps is not None:
        profile = [Profile(run.tensorboard, progress, profile_steps)]
    # In this order: what comes later reads what is counted and logged before.
    return [
        Resume(run.checkpoints, progress, run.lock, change_learning_rate),
        *profile,
        WatchLoss(progress, writer),
        Log(run, progress, log_every),
        Save(
            run.checkpoints,
            progress,
            run.lock,
            writer,
            epochs=checkpoint_epochs,
            steps=checkpoint_steps,
            minutes=checkpoint_minutes,
        ),
    ]


class WatchLoss(keras.callbacks.Callback):
    """Stops the run where the loss is not finite; prints the first loss.

    Steps that float16's loss scaling skips have a finite loss and stop
    nothing. Weights that are not finite, which the loss shows a step late, are
    found by `saving.Save` before it writes.
    """

    def __init__(self, progress, writer):
        super().__init__()
        self._progress = progress
        self._writer = writer
        self._first = True

    def on_train_begin(self, logs=None):
        """Prints no first loss where the run is resumed."""
        self._first &= not self._progress.step

    def on_train_batch_end(self, batch, logs=None):
        """Raises a RuntimeError at a step whose loss is not finite."""
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss).all():
            self._stop(float(np.ravel(loss)[0]))
        if self._first:
            self._first = False
            self._say(loss)

    def _stop(self, loss):
        what = f"the loss is {loss} at step {self._progress.step}"
        watch = getattr(self.model, "pixel_watch", None)
        try:
            if watch is not None:
                watch.check()
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
        chief = workers.is_chief(self.model.distribute_strategy)
        finite.stop(what, self._writer.newest() if chief else "")

    def _say(self, loss):
        """Prints the loss of the first step, or of the first few in one."""
        images = getattr(self.model, "global_batch_size", None)
        guess = getattr(self.model.loss, "random_guess", lambda images: None)
        if images is None or guess(images) is None:
            return
        steps = self._progress.step
        what = (
            "First loss" if steps == 1 else f"Loss of the first {steps} steps"
        )
        print(
            f"\n{what} {float(loss):.4f}; random guessing among {images}"
            f" images gives {guess(images):.4f}."
        )


class Log(keras.callbacks.Callback):
    """Writes `metrics.csv` and TensorBoard scalars; of processes, the chief.

    Every `every` steps the means over these steps, and at the end of a round
    (an epoch of `fit`) its means with validation and other late figures, each
    beside the epoch of the data that its last step is of. Timing goes to
    TensorBoard only: `metrics.csv` depends on the run alone.
    """

    def __init__(self, run, progress, every):
        super().__init__()
        self._run = run
        self._progress = progress
        self._every = every
        self._file = None

    def on_train_begin(self, logs=None):
        """Opens the files; drops rows after the restored checkpoint."""
        self._step = self._progress.step
        self._clock, self._clock_step = time.perf_counter(), self._step
        self._waited = (0.0, 0.0)
        if workers.is_chief(self.model.distribute_strategy):
            begun = self._every and self._run.checkpoints.exists()
            logged = self._step // self._every * self._every if begun else None
            self._file = MetricsFile(self._run.metrics, self._step, logged)
            with disk.naming(self._run.tensorboard):
                self._writer = tf.summary.create_file_writer(
                    str(self._run.tensorboard)
                )

    def on_epoch_begin(self, epoch, logs=None):
        """Notes what was waited for input before it."""
        self._waited_before = input_wait.so_far(self.model)

    def on_train_batch_end(self, batch, logs=None):
        """Logs the means over the last `every` steps."""
        before, self._step = self._step, self._progress.step
        self._epoch = self._progress.epoch
        if self._every and before // self._every < self._step // self._every:
            # Read on all processes: a sum over them is behind some figures.
            self._write("steps", self._interval_means(logs or {}))

    def on_epoch_end(self, epoch, logs=None):
        """Logs the epoch's means, validation and all that others added."""
        self._write("epoch", {k: float(v) for k, v in (logs or {}).items()})

    def on_train_end(self, logs=None):
        """Closes the event file."""
        if self._file is not None:
            self._writer.close()

    def _interval_means(self, logs):
        means = {}
        for metric in state.metrics_of(self.model):
            if metric.name not in logs or not hasattr(metric, "total"):
                continue
            parts = (metric.total, metric.count)
            now = [float(compat.as_numpy(v)) for v in parts]
            known = self._progress.log_sums.get(metric.name, [0.0, 0.0])
            self._progress.log_sums[metric.name] = now
            total, count = np.subtract(now, known)
            means[metric.name] = total / count if count else np.nan
        rest = {k: float(v) for k, v in logs.items() if k not in means}
        return {**means, **rest}

    def _write(self, scope, values):
        # What was not measured in the interval stays out.
        values = {k: v for k, v in values.items() if not np.isnan(v)}
        values["learning_rate"] = compat.learning_rate(self.model.optimizer)
        if self._file is None:
            return
        try:
            self._append(scope, values)
        except (OSError, tf.errors.OpError) as error:
            raise RuntimeError(
                f"the logs in {self._run.path} could not be written"
                f" ({str(error).splitlines()[0]}). The last checkpoint is"
                " intact. Make room, then run the same command again to go on"
                " from there."
            ) from error

    def _append(self, scope, values):
        self._file.write(scope, self._epoch, self._step, values)
        now = time.perf_counter()
        images = getattr(self.model, "global_batch_size", None)
        steps = self._step - self._clock_step
        if scope == "steps" and images and steps:
            rate = images * steps / (now - self._clock)
            values = {**values, "images_per_second": rate}
        waited = input_wait.so_far(self.model)
        since = self._waited_before if scope == "epoch" else self._waited
        share = input_wait.share(waited, since)
        if share is not None:
            values = {**values, "input_wait": share}
        self._clock, self._clock_step = now, self._step
        self._waited = waited
        prefix = "epoch" if scope == "epoch" else "train"
        with self._writer.as_default(step=self._step):
            for name, value in values.items():
                tf.summary.scalar(f"{prefix}/{name}", value)
        self._writer.flush()
