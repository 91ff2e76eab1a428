"""Shows the progress of long work: bars on a terminal, lines in a file."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator

import keras

SECONDS = 30.0  # between two lines
_COLOR = re.compile("\x1b\\[[0-9;]*m")


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


@contextlib.contextmanager
def counting(
    count: int, done: int = 0, bar: bool | None = None
) -> Iterator[Callable[[int], None]]:
    """Context that shows how many images are done.

    Args:
        count: images in all; a line is printed for the last one, too.
        done: images that were done before. Defaults to 0.
        bar: whether Keras's bar is drawn, or a line is printed every half a
            minute. Defaults to None: the bar on a terminal.

    Yields:
        Function to call with the number of images done.
    """
    if is_terminal() if bar is None else bar:
        with without_color():
            yield keras.utils.Progbar(count, unit_name="image").update
    else:
        yield _lines(count, done)


def _lines(count, done):
    pace = Pace(done)

    def show(done):
        if pace.is_due() or done == count:
            print(f"{done} of {count} images | {pace.rate(done)}", flush=True)

    return show


class Pace:
    """Tells when a line is due, and the images per second since the last one.

    Args:
        done: images done when the clock starts.
    """

    def __init__(self, done: int = 0):
        self._clock, self._done = time.monotonic(), done

    def is_due(self) -> bool:
        """Whether the last line was printed half a minute ago or earlier."""
        return time.monotonic() - self._clock >= SECONDS

    def rate(self, done: int) -> str:
        """Text with the images per second since the last line; starts anew.

        Args:
            done: images done by now.
        """
        now = time.monotonic()
        rate = (done - self._done) / max(now - self._clock, 1e-9)
        self._clock, self._done = now, done
        return f"{rate:,.0f} images/s" if rate >= 10 else f"{rate:.1f} images/s"


@contextlib.contextmanager
def without_color() -> Iterator[None]:
    """Context that removes colours from printed text, if `NO_COLOR` is set.

    Keras 3 has no option to draw its bar without them (https://no-color.org).
    """
    if not os.environ.get("NO_COLOR") or sys.stdout is None:
        yield
        return
    with contextlib.redirect_stdout(_Plain(sys.stdout)):
        yield


class _Plain:
    """A stream that removes colour codes from text written to it."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        return self._stream.write(_COLOR.sub("", text))

    def __getattr__(self, name):
        return getattr(self._stream, name)
