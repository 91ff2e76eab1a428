"""Watches the loss: the first one beside random guessing, then for NaN."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from simclr_keras.distribute import workers
from simclr_keras.training import checkpointing
from simclr_keras.training import finite
from simclr_keras.training.progress import Progress


class LossWatch:
    """Stops the run where the loss is not finite; prints the first loss.

    Steps that float16's loss scaling skips have a finite loss and stop
    nothing. Weights that are not finite, which the loss shows a step late, are
    found by `saving.Saver` before it writes.

    Args:
        writer: `checkpointing.Writer`, which knows the newest checkpoint.
    """

    def __init__(self, writer: checkpointing.Writer):
        self._writer = writer
        self._first = True

    def begin(self, model: keras.Model, progress: Progress) -> None:
        """Prints no first loss where the run is resumed.

        Args:
            model: the model that is fitted.
            progress: `Progress` of the run.
        """
        self._model, self._progress = model, progress
        self._first &= not progress.step

    def end_step(self, logs: dict[str, Any]) -> None:
        """Looks at the loss among the figures of a step.

        Args:
            logs: dict of the figures.

        Raises:
            RuntimeError: it is not finite.
            ValueError: pixels out of range explain it.
        """
        loss = logs.get("loss")
        if loss is not None and not np.isfinite(loss).all():
            self._stop(float(np.ravel(loss)[0]))
        if self._first:
            self._first = False
            self._say(loss)

    def _stop(self, loss):
        what = f"the loss is {loss} at step {self._progress.step}"
        watch = getattr(self._model, "pixel_watch", None)
        try:
            if watch is not None:
                watch.check()
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
        chief = workers.is_chief(self._model.distribute_strategy)
        finite.stop(what, self._writer.newest() if chief else "")

    def _say(self, loss):
        """Prints the loss of the first step, or of the first few in one."""
        images = getattr(self._model, "global_batch_size", None)
        guess = getattr(self._model.loss, "random_guess", lambda images: None)
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
