"""Writes a TensorBoard profile of some steps of a run."""

from __future__ import annotations

import importlib.util
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import paths
from simclr_keras.distribute import workers
from simclr_keras.training.progress import Progress

# Plug-in that shows profiles in TensorBoard, by its older and its newer name.
_PLUGINS = ("tensorboard_plugin_profile", "xprof")


class Profile:
    """Writes a trace of steps to the run's TensorBoard directory, on the chief.

    An execution of several steps is traced as a whole. The trace is written
    whether or not the plug-in that shows it is installed here.

    Args:
        directory: the run's TensorBoard directory.
        steps: pair of integers, the first and the last step, from 1; None:
            nothing is traced.

    Raises:
        ValueError: `steps` is not such a pair.
    """

    def __init__(
        self, directory: paths.AnyPath, steps: tuple[int, int] | None = None
    ):
        self._steps = None if steps is None else _checked(steps)
        self._directory = directory
        self._running = self._done = False
        self._mark = None

    def begin(self, model: keras.Model, progress: Progress) -> None:
        """Prints a message if the first of the steps is done already.

        Args:
            model: the model that is fitted.
            progress: `Progress` of the run.
        """
        self._model, self._progress = model, progress
        chief = workers.is_chief(model.distribute_strategy)
        self._done = self._steps is None or not chief
        if not self._done and progress.step >= self._steps[0]:
            self._done = True
            first, last = self._steps
            print(
                f"No profile: step {first} of profile_steps={first},{last} is"
                f" done already (step {progress.step})."
            )

    def begin_step(self) -> None:
        """Starts the trace before the first of the steps."""
        if self._done and not self._running:
            return
        ahead = compat.steps_per_execution(self._model)
        if not self._done and self._progress.step + ahead >= self._steps[0]:
            self._start()
        if self._running and not compat.MARKS_PROFILED_STEPS:
            # Marks the step in the profile.
            self._mark = tf.profiler.experimental.Trace(
                "train", step_num=self._progress.step + 1, _r=1
            )
            self._mark.__enter__()

    def end_step(self, logs: dict[str, Any]) -> None:
        """Stops the trace after the last of the steps.

        Args:
            logs: dict of the step's metrics.
        """
        if not self._running:
            return
        if "loss" in logs:
            float(logs["loss"])  # waits for the device
        self._end_mark()
        if self._progress.step >= self._steps[1]:
            self._stop()

    def release(self) -> None:
        """Ends the trace if training ends before it does, even by an error."""
        if self._running:
            self._end_mark()
            self._stop()

    def _start(self):
        self._done = True  # even if it fails: there is one attempt
        try:
            tf.profiler.experimental.start(str(self._directory))
        except tf.errors.OpError as error:
            print(f"No profile, TensorFlow cannot write one: {error}")
            return
        self._running = True

    def _end_mark(self):
        if self._mark is not None:
            self._mark.__exit__(None, None, None)
            self._mark = None

    def _stop(self):
        self._running = False
        tf.profiler.experimental.stop()
        text = f"\nProfile up to step {self._progress.step}: {self._directory}"
        if not any(importlib.util.find_spec(name) for name in _PLUGINS):
            text += (
                "; TensorBoard shows it where its plug-in is installed, which"
                " it is not here (pip install tensorboard-plugin-profile)"
            )
        print(f"{text}.")


def _checked(steps):
    try:
        first, last = (int(step) for step in steps)
    except (TypeError, ValueError):
        first, last = 0, 0
    if not 1 <= first < last:
        raise ValueError(
            "profile_steps must be two steps from 1, the first before the"
            f" last, such as (10, 15). Received: profile_steps={steps!r}"
        )
    return first, last
