"""Measures where the time of a training goes."""

from __future__ import annotations

import time

import keras

from simclr_keras import xla_cache
from simclr_keras.models import input_wait


class Timing(keras.callbacks.Callback):
    """Measures the time of a training, and prints that of its first step.

    Args:
        started: `time.monotonic()` when the command began.
        batch_size: images in the global batch.
    """

    def __init__(self, started: float, batch_size: int):
        super().__init__()
        self._started = started
        self._batch = batch_size
        self._to_first_step = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Starts the clock of the training itself."""
        self._begin = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Times the first step, and seals what XLA compiled for it."""
        if self._to_first_step is not None:
            return
        float((logs or {}).get("loss", 0.0))  # waits for the device
        self._to_first_step = time.monotonic() - self._started
        xla_cache.seal()
        print(
            f"\nFirst step done {self._to_first_step:.1f} s after the start"
            " of the command."
        )

    def figures(self) -> dict[str, float]:
        """Returns the dict for `timing.json`, after training."""
        seconds = time.monotonic() - self._begin
        images = self.model.fit_position.done * self._batch
        figures = {
            "seconds": round(seconds, 1),
            "images_per_second": round(images / seconds, 1),
        }
        if self._to_first_step is not None:
            figures["seconds_to_first_step"] = round(self._to_first_step, 2)
        share = input_wait.share(input_wait.so_far(self.model))
        if share is not None:
            figures["input_wait"] = round(share, 4)
        return figures
