"""Shows how a training goes: a line now and then, or a bar without colours."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator

import keras
import numpy as np

from simclr_keras.training.callbacks import KeepRun

SECONDS = 30.0  # between two lines
_COLOR = re.compile("\x1b\\[[0-9;]*m")


class Pace:
    """Tells when a line is due, and the images a second since the last one.

    Args:
        done: images done when the clock starts.
    """

    def __init__(self, done: int = 0):
        self._clock, self._done = time.monotonic(), done

    def is_due(self) -> bool:
        """Whether the last line is half a minute ago."""
        return time.monotonic() - self._clock >= SECONDS

    def rate(self, done: int) -> str:
        """Text of the images a second since the last line; starts anew.

        Args:
            done: images done by now.
        """
        now = time.monotonic()
        rate = (done - self._done) / max(now - self._clock, 1e-9)
        self._clock, self._done = now, done
        return f"{rate:,.0f} images/s" if rate >= 10 else f"{rate:.1f} images/s"


class ProgressLines(keras.callbacks.Callback):
    """Prints a line every half a minute, and one at the end.

    It stands behind the callback of the run, which counts the steps.

    Args:
        keep_run: `callbacks.KeepRun` of the same `fit`.
        total_steps: training steps of the whole run.
        batch_size: images in the global batch.
    """

    def __init__(self, keep_run: KeepRun, total_steps: int, batch_size: int):
        super().__init__()
        self._keep_run = keep_run
        self._total, self._batch = total_steps, batch_size
        self._pace = None
        self._shown = 0  # steps that the last line has

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Prints a line where one is due."""
        progress = self._keep_run.progress
        self._epoch, self._step = progress.epoch + 1, progress.step
        self._loss = (logs or {}).get("loss")
        if self._pace is None:  # the first step was compiled, too
            self._pace = Pace(self._step * self._batch)
        elif self._pace.is_due():
            self._print()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Prints the last line, unless it stands there."""
        if self._pace is not None and self._shown < self._step:
            self._print()

    def _print(self):
        parts = [f"Epoch {self._epoch}, step {self._step} of {self._total}"]
        if self._loss is not None:
            parts.append(f"loss {float(np.ravel(self._loss)[0]):.4f}")
        parts.append(self._pace.rate(self._step * self._batch))
        print(" | ".join(parts), flush=True)
        self._shown = self._step


def row_lines(count: int, done: int = 0) -> Callable[[int], None]:
    """Function of the images done, which prints a line now and then.

    Args:
        count: images in all; with the last of them it prints, too.
        done: images that were done before.
    """
    pace = Pace(done)

    def show(done):
        if pace.is_due() or done == count:
            print(f"{done} of {count} images | {pace.rate(done)}", flush=True)

    return show


@contextlib.contextmanager
def without_color() -> Iterator[None]:
    """Context in which what is printed has no colours, if `NO_COLOR` is set.

    Keras 3 has no other way to draw its bar without (https://no-color.org).
    """
    if not os.environ.get("NO_COLOR"):
        yield
        return
    with contextlib.redirect_stdout(_Plain(sys.stdout)):
        yield


class _Plain:
    """A stream that leaves colours out of what is written to it."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        return self._stream.write(_COLOR.sub("", text))

    def __getattr__(self, name):
        return getattr(self._stream, name)
