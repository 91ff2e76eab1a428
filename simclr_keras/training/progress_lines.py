"""Prints the progress of a training, as a line every half a minute."""

from __future__ import annotations

import keras
import numpy as np

from simclr_keras import console
from simclr_keras.training.callbacks import RunCallback


class ProgressLines(keras.callbacks.Callback):
    """Prints a line every half a minute, and one at the end.

    Append it after the callback of the run, which counts the steps.

    Args:
        run_callback: `callbacks.RunCallback` of the same `fit`.
        total_steps: training steps of the whole run.
        batch_size: images in the global batch.
    """

    def __init__(
        self, run_callback: RunCallback, total_steps: int, batch_size: int
    ):
        super().__init__()
        self._run_callback = run_callback
        self._total, self._batch = total_steps, batch_size
        self._pace = None
        self._shown = 0  # step in the last printed line

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Prints a line if one is due."""
        progress = self._run_callback.progress
        self._epoch, self._step = progress.epoch + 1, progress.step
        self._loss = (logs or {}).get("loss")
        if self._pace is None:  # excludes the first step, which compiles
            self._pace = console.Pace(self._step * self._batch)
            self._first = self._step
        elif self._pace.is_due():
            self._print()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Prints a line for the last step, unless it has been printed."""
        if self._pace is not None and self._shown < self._step:
            self._print()

    def _print(self):
        parts = [f"Epoch {self._epoch}, step {self._step} of {self._total}"]
        if self._loss is not None:
            parts.append(f"loss {float(np.ravel(self._loss)[0]):.4f}")
        if self._step > self._first:
            parts.append(self._pace.rate(self._step * self._batch))
        print(" | ".join(parts), flush=True)
        self._shown = self._step
