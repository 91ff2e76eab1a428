"""Compares the first loss with random guessing; stops when it is not finite."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from simclr_keras.distribute import workers
from simclr_keras.training import checkpointing
from simclr_keras.training import finite
from simclr_keras.training.progress import Progress


class LossWatch:
    """Stops the run when the loss is not finite; prints the first loss.

    Steps that float16's loss scaling skips have a finite loss and do not stop
    it. The loss shows weights that are not finite only a step later;
    `saving.Saver` finds them before it writes.

    Args:
        writer: `checkpointing.Writer`, which knows the newest checkpoint.
    """

    def __init__(self, writer: checkpointing.Writer):
        self._writer = writer
        self._first = True

    def begin(self, model: keras.Model, progress: Progress) -> None:
        """Begins; a resumed run prints no first loss.

        Args:
            model: the model that is fitted.
            progress: `Progress` of the run.
        """
        self._model, self._progress = model, progress
        self._first &= not progress.step

    def end_step(self, logs: dict[str, Any]) -> None:
        """Checks the loss among the metrics of a step.

        Args:
            logs: dict of the metrics.

        Raises:
            RuntimeError: the loss is not finite.
            ValueError: the loss is not finite because pixels are out of range.
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
        """Prints the loss of the first step, or of the first execution."""
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
