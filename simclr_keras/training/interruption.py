"""Catches SIGTERM and SIGINT, so that a run can save before it stops."""

from __future__ import annotations

import os
import signal
import threading

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: run it again
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(SystemExit):
    """Ends the process with code 75 after a signal, once the run is saved."""

    def __init__(self):
        super().__init__(EXIT_CODE)


class Signals:
    """Catches the first SIGTERM or SIGINT; the second one acts as usual.

    Attributes:
        received: name of the signal that came, or None.
    """

    def __init__(self):
        self.received = None
        self._before = {}

    def watch(self) -> None:
        """Starts to catch signals.

        Does nothing outside the main thread, as only that one gets signals.
        """
        self.received = None
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)

    def release(self) -> None:
        """Restores the handlers from before `watch`."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _note(self, number, frame):
        self.release()
        self.received = signal.Signals(number).name
        # Not `print`: the signal may have come in the middle of a `print`.
        text = (
            f"\n{self.received}: stopping after this step; a second one stops"
            " at once.\n"
        )
        os.write(2, text.encode())
