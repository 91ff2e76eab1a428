"""Writes a TensorBoard profile of some steps of a run."""

import importlib.util

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.distribute import workers

# What shows profiles in TensorBoard, under its older and its newer name.
_PLUGINS = ("tensorboard_plugin_profile", "xprof")


class Profile(keras.callbacks.Callback):
    """Traces steps into the run's TensorBoard directory; the chief alone.

    Executions of several steps are traced whole. The trace is written whether
    or not the plug-in that shows it is installed here.

    Args:
        directory: the run's TensorBoard directory.
        progress: `Progress`, which counts the steps.
        steps: pair of integers, the first and the last step, from 1.

    Raises:
        ValueError: these are no such steps.
    """

    def __init__(self, directory, progress, steps):
        super().__init__()
        first, last = _checked(steps)
        self._directory = directory
        self._progress = progress
        self._first, self._last = first, last
        self._running = self._done = False
        self._mark = None

    def on_train_begin(self, logs=None):
        """Says so where the steps lie behind."""
        strategy = self.model.distribute_strategy
        self._done = not workers.is_chief(strategy)
        if not self._done and self._progress.step >= self._first:
            self._done = True
            print(
                f"No profile: step {self._first} of"
                f" profile_steps={self._first},{self._last} is done already"
                f" (step {self._progress.step})."
            )

    def on_train_batch_begin(self, batch, logs=None):
        """Starts before the first of the steps."""
        ahead = compat.steps_per_execution(self.model)
        if not self._done and self._progress.step + ahead >= self._first:
            self._start()
        if self._running and not compat.MARKS_PROFILED_STEPS:
            # So that the profile knows steps.
            self._mark = tf.profiler.experimental.Trace(
                "train", step_num=self._progress.step + 1, _r=1
            )
            self._mark.__enter__()

    def on_train_batch_end(self, batch, logs=None):
        """Stops after the last one."""
        if not self._running:
            return
        if logs and "loss" in logs:
            float(logs["loss"])  # waits for the device
        self._end_mark()
        if self._progress.step >= self._last:
            self._stop()

    def on_train_end(self, logs=None):
        """Stops where the training ends before."""
        self.release()

    def release(self):
        """Called when `fit` has ended, by an error too."""
        if self._running:
            self._end_mark()
            self._stop()

    def _start(self):
        self._done = True  # or tried
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
