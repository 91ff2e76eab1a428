"""Writes `metrics.csv` and TensorBoard scalars."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import disk
from simclr_keras.distribute import workers
from simclr_keras.models import input_wait
from simclr_keras.training import state
from simclr_keras.training.metrics_file import MetricsFile
from simclr_keras.training.progress import Progress
from simclr_keras.training.run_directory import RunDirectory


class Logs:
    """Writes the metrics of a training, in the chief's process.

    Every `every` steps it writes the means over these steps; at the end of a
    fit epoch, its means with validation and other metrics that are added late.
    Each row has the epoch of its last step, counted in passes over the data.
    Timing goes to TensorBoard only, so that `metrics.csv` depends on nothing
    but the run.

    Args:
        run: `RunDirectory`.
        every: steps between rows; 0: only fit epochs have one.
    """

    def __init__(self, run: RunDirectory, every: int):
        self._run = run
        self._every = every
        self._file = None

    def begin(self, model: keras.Model, progress: Progress) -> None:
        """Opens the files; drops rows after the restored checkpoint.

        Args:
            model: the model that is fitted.
            progress: `Progress` of the run.
        """
        self._model, self._progress = model, progress
        self._clock, self._clock_step = time.perf_counter(), progress.step
        self._waited = (0.0, 0.0)
        if workers.is_chief(model.distribute_strategy):
            begun = self._every and self._run.checkpoints.exists()
            logged = None
            if begun:
                logged = progress.step // self._every * self._every
            self._file = MetricsFile(self._run.metrics, progress.step, logged)
            with disk.naming(self._run.tensorboard):
                self._writer = tf.summary.create_file_writer(
                    str(self._run.tensorboard)
                )

    def begin_fit_epoch(self) -> None:
        """Records the epoch and the input wait at the start of a fit epoch."""
        self._epoch = self._progress.epoch  # for a fit epoch without steps
        self._waited_before = input_wait.so_far(self._model)

    def end_step(self, logs: dict[str, Any]) -> None:
        """Logs the means over the last `every` steps.

        Args:
            logs: dict of the means over the fit epoch so far.
        """
        self._epoch = self._progress.epoch
        if self._progress.passed(self._every):
            # All processes read the means: some need a sum over processes.
            self._write("steps", self._interval_means(logs))

    def end_fit_epoch(self, logs: dict[str, Any]) -> None:
        """Logs the fit epoch's means, validation and added metrics.

        Args:
            logs: dict of these metrics.
        """
        self._write("epoch", {k: float(v) for k, v in logs.items()})

    def end(self) -> None:
        """Closes the event file."""
        if self._file is not None:
            self._writer.close()

    def _interval_means(self, logs):
        means = {}
        for metric in state.metrics_of(self._model):
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
        # Leaves out metrics that were not measured in the interval.
        values = {k: v for k, v in values.items() if not np.isnan(v)}
        values["learning_rate"] = compat.learning_rate(self._model.optimizer)
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
        step = self._progress.step
        self._file.write(scope, self._epoch, step, values)
        now = time.perf_counter()
        images = getattr(self._model, "global_batch_size", None)
        steps = step - self._clock_step
        if scope == "steps" and images and steps:
            rate = images * steps / (now - self._clock)
            values = {**values, "images_per_second": rate}
        waited = input_wait.so_far(self._model)
        since = self._waited_before if scope == "epoch" else self._waited
        share = input_wait.share(waited, since)
        if share is not None:
            values = {**values, "input_wait": share}
        self._clock, self._clock_step = now, step
        self._waited = waited
        prefix = "epoch" if scope == "epoch" else "train"
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(f"{prefix}/{name}", value)
        self._writer.flush()
