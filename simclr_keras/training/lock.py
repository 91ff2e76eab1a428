"""Lets one process at a time use a run directory.

A process keeps the file `run.lock` of the directory open with a lock of the
kernel (`flock`), which ends with the process, however that ends. It also writes
its identity into the file and increments a heartbeat there every few seconds.
Some disks do not share locks with other machines, or have none (object stores,
`gs://`): there a second process waits for a heartbeat, and takes the directory
if none comes. It does not compare clocks.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pathlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from simclr_keras.training import lock_file

if TYPE_CHECKING:
    from simclr_keras import paths  # loads TensorFlow

NAME = "run.lock"
_BEAT_SECONDS = 10.0
# How long a second process waits for a heartbeat of the first.
_WATCH_SECONDS = 2.5 * _BEAT_SECONDS
# In a store without locks the last of simultaneous writes wins; after this time
# a process reads back which one it was.
_SETTLE_SECONDS = 1.0
_HELD = {}  # from paths to the `_Hold`s of this process
_GUARD = threading.RLock()


class RunLock:
    """The lock of one run directory, shared within this process.

    Several objects of one process can hold it at the same time; it ends when
    the last of them releases it.

    Args:
        directory: local path, or one with a scheme, such as `gs://bucket/run`.
    """

    def __init__(self, directory: paths.PathLike):
        self._directory = directory
        self._taken = False
        if lock_file.has_scheme(directory):
            self._path = f"{str(directory).rstrip('/')}/{NAME}"
        else:
            self._path = os.path.realpath(os.path.join(directory, NAME))

    @contextlib.contextmanager
    def held(self) -> Iterator[RunLock]:
        """Holds the lock while the block runs.

        Raises:
            ValueError: see `acquire`.
        """
        self.acquire()
        try:
            yield self
        finally:
            self.release()

    def acquire(self) -> None:
        """Takes the lock; does nothing if this object has it already.

        Raises:
            ValueError: another process uses the directory.
            OSError: the directory cannot be written to.
        """
        with _GUARD:
            if self._taken:
                return
            hold = _HELD.get(self._path)
            if hold is None:
                hold = _HELD[self._path] = self._take()
                hold.start_heartbeat()
            hold.holders += 1
            self._taken = True

    def release(self) -> None:
        """Releases the lock; does nothing if this object does not have it."""
        with _GUARD:
            hold = _HELD.get(self._path)
            if hold is None or not self._taken:
                return
            self._taken = False
            hold.holders -= 1
            if not hold.holders:
                del _HELD[self._path]
                hold.end()

    def check(self) -> None:
        """Raises a RuntimeError if another process has taken the lock over.

        This can happen if the disk has no locks and this process was suspended.
        """
        hold = _HELD.get(self._path)
        if hold is not None and hold.lost:
            raise RuntimeError(
                f"another process has taken the run directory"
                f" {str(self._directory)!r} while this one stood still. Nothing"
                " more is written by this one; the other goes on."
            )

    def _take(self):
        file = lock_file.open_file(self._path)
        try:
            text = file.read()
            if file.locked is False or self._is_used(file, text):
                raise ValueError(self._message(text))
            hold = _Hold(file)
            file.write(hold.text())
            if file.locked is None:
                time.sleep(_SETTLE_SECONDS)
                if not hold.is_ours():
                    raise ValueError(self._message(file.read()))
            return hold
        except BaseException:
            file.close()
            raise

    def _is_used(self, file, text):
        """Whether the process that wrote the text still runs.

        Needed where the kernel's lock does not tell.
        """
        notes = _parse(text)
        same_machine = notes.get("machine") == _machine()
        if not text or (file.locked and same_machine):
            return False
        if same_machine and not _is_alive(notes.get("pid")):
            return False
        print(
            f"{self._path} was left by {_holder(notes)}; watching for"
            f" {_WATCH_SECONDS:.0f} s whether it still runs.",
            flush=True,
        )
        end = time.monotonic() + _WATCH_SECONDS
        while time.monotonic() < end:
            time.sleep(_BEAT_SECONDS / 20)
            new_text = file.read()
            if new_text != text:
                return bool(new_text)  # empty: the process has just ended
        return False

    def _message(self, text):
        return (
            "a run directory is used by one process at a time. Received:"
            f" {str(self._directory)!r}, which is in use by"
            f" {_holder(_parse(text))}. Wait for it or stop it (a process"
            " that has ended does not hold the directory), or name another"
            " directory."
        )


class _Hold:
    """This process's hold on a lock: its file, and the heartbeat's thread."""

    def __init__(self, file):
        self.holders = 0
        self.lost = False
        self._file = file
        self._beat = 0
        self._notes = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "machine": _machine(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "token": secrets.token_hex(8),
        }
        self._stop = threading.Event()
        self._thread = None

    def text(self):
        """The content of the file, JSON of the same length at every beat."""
        return json.dumps({**self._notes, "beat": f"{self._beat:012d}"}) + "\n"

    def is_ours(self):
        """Whether the content of the file is that of this process."""
        return _parse(self._file.read()).get("token") == self._notes["token"]

    def start_heartbeat(self):
        """Starts the thread that increments the heartbeat."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(_BEAT_SECONDS):
            self._beat += 1
            # If the disk is full or unavailable, the next beat tries again.
            with contextlib.suppress(Exception):
                if not self._file.locked and not self.is_ours():
                    self.lost = True
                    return
                self._file.write(self.text())

    def end(self):
        """Stops the heartbeat, removes the file and releases the lock."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(Exception):
            if self._file.locked or self.is_ours():
                self._file.remove()
        self._file.close()

    def forget(self):
        """Closes the file in a forked child; the parent keeps the lock."""
        self._file.close()


def _machine():
    """Id of the running kernel, whose processes see each other's locks."""
    try:
        path = pathlib.Path("/proc/sys/kernel/random/boot_id")
        return path.read_text().strip()
    except OSError:
        return socket.gethostname()


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, TypeError):
        pass  # another user's process, or the text is incomplete
    return True


def _parse(text):
    try:
        notes = json.loads(text)
    except ValueError:
        return {}
    return notes if isinstance(notes, dict) else {}


def _holder(notes):
    if not notes:
        return "another process"
    return (
        f"process {notes.get('pid')} on {notes.get('host')} since"
        f" {notes.get('since')}"
    )


@atexit.register
def _release_all():
    while _HELD:
        _HELD.popitem()[1].end()


def _forget_all():
    while _HELD:
        _HELD.popitem()[1].forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
