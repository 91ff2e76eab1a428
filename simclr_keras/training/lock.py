"""Lets one process at a time use a run directory.

A process holds `run.lock` in the directory, open and locked by the kernel
(`flock`), which lets go when the process ends, however it ends. Beside that it
writes who it is and, every few seconds, a beat: on disks whose locks do not
reach other machines, or that have none (object stores, `gs://`), a second
start watches for a beat, and takes the directory where none comes. It compares
no clocks.
"""

import atexit
import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import socket
import threading
import time

NAME = "run.lock"
_BEAT_SECONDS = 10.0
# How long a second start waits for a beat of the first.
_WATCH_SECONDS = 2.5 * _BEAT_SECONDS
# Between two simultaneous writes to a store without locks, the last one wins.
_SETTLE_SECONDS = 1.0
_HELD = {}  # path -> _Hold of this process
_GUARD = threading.RLock()


class RunLock:
    """The lock of one run directory, shared within this process.

    Several objects of one process can hold it at the same time; it is given
    back when the last of them has released it.

    Args:
        directory: local path, or one with a scheme, such as `gs://bucket/run`.
    """

    def __init__(self, directory):
        self._directory = directory
        self._taken = False
        if _has_scheme(directory):
            self._path = f"{str(directory).rstrip('/')}/{NAME}"
        else:
            self._path = os.path.realpath(os.path.join(directory, NAME))

    @contextlib.contextmanager
    def held(self):
        """Holds the lock while the block runs.

        Raises:
            ValueError: see `acquire`.
        """
        self.acquire()
        try:
            yield self
        finally:
            self.release()

    def acquire(self):
        """Takes the lock; nothing happens where this object has it already.

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
                hold.begin_beats()
            hold.holders += 1
            self._taken = True

    def release(self):
        """Gives it back; nothing happens where this object has it not."""
        with _GUARD:
            hold = _HELD.get(self._path)
            if hold is None or not self._taken:
                return
            self._taken = False
            hold.holders -= 1
            if not hold.holders:
                del _HELD[self._path]
                hold.end()

    def check(self):
        """Raises a RuntimeError where another process took the lock over.

        It can where the disk has no locks and this process stood still.
        """
        hold = _HELD.get(self._path)
        if hold is not None and hold.lost:
            raise RuntimeError(
                f"another process has taken the run directory"
                f" {str(self._directory)!r} while this one stood still. Nothing"
                " more is written by this one; the other goes on."
            )

    def _take(self):
        file = _open(self._path)
        try:
            there = file.read()
            if file.locked is False or self._is_used(file, there):
                raise ValueError(self._message(there))
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

    def _is_used(self, file, there):
        """Whether whoever wrote the notes lives, where no lock says so."""
        notes = _parsed(there)
        same_machine = notes.get("machine") == _machine()
        if not there or (file.locked and same_machine):
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
            now = file.read()
            if now != there:
                return bool(now)  # removed: it has just ended
        return False

    def _message(self, there):
        return (
            "a run directory is used by one process at a time. Received:"
            f" {str(self._directory)!r}, which is in use by"
            f" {_holder(_parsed(there))}. Wait for it or stop it (a process"
            " that has ended does not hold the directory), or name another"
            " directory."
        )


class _Hold:
    """What this process holds: the file, and the thread that beats."""

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
        """The notes as JSON, of the same length at every beat."""
        return json.dumps({**self._notes, "beat": f"{self._beat:012d}"}) + "\n"

    def is_ours(self):
        """Whether the file holds the notes of this process."""
        return _parsed(self._file.read()).get("token") == self._notes["token"]

    def begin_beats(self):
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(_BEAT_SECONDS):
            self._beat += 1
            # A disk that is full or away for a moment: the next beat tells.
            with contextlib.suppress(Exception):
                if not self._file.locked and not self.is_ours():
                    self.lost = True
                    return
                self._file.write(self.text())

    def end(self):
        """Removes the file and lets the kernel's lock go."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(Exception):
            if self._file.locked or self.is_ours():
                self._file.remove()
        self._file.close()

    def forget(self):
        """In a forked child: the lock stays with the parent alone."""
        self._file.close()


class _LocalFile:
    """A file on a disk, locked by the kernel where that is possible.

    Attributes:
        locked: True: by this process; False: by another one; None: the file
            system has no locks.
    """

    def __init__(self, path):
        self._path = path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        while True:
            self._number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            self.locked = _flock(self._number)
            # Its last holder can have removed it between the two calls.
            if not self.locked or self._is_at_path():
                return
            os.close(self._number)

    def _is_at_path(self):
        try:
            return os.path.samestat(os.fstat(self._number), os.stat(self._path))
        except FileNotFoundError:
            return False

    def read(self):
        """Its text, opened anew, as network disks tell news only then."""
        try:
            return pathlib.Path(self._path).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def write(self, text):
        """Replaces the text; on a full disk the kernel's lock is enough."""
        data = text.encode()
        try:
            os.pwrite(self._number, data, 0)
            os.ftruncate(self._number, len(data))
            os.fsync(self._number)
        except OSError:
            if not self.locked:
                raise

    def remove(self):
        """Removes it, while it is locked."""
        os.unlink(self._path)

    def close(self):
        """Closes it, which unlocks it."""
        os.close(self._number)


class _RemoteFile:
    """An object of a store that has no locks."""

    locked = None

    def __init__(self, path):
        from simclr_keras import paths  # loads TensorFlow

        self._path = paths.as_path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def read(self):
        """Its text; empty where it is not there."""
        try:
            return self._path.read_text()
        except FileNotFoundError:
            return ""

    def write(self, text):
        """Replaces it, whole."""
        self._path.write_text(text)

    def remove(self):
        """Removes it."""
        self._path.unlink()

    def close(self):
        """Nothing is open."""


def _open(path):
    return _RemoteFile(path) if _has_scheme(path) else _LocalFile(path)


def _has_scheme(path):
    return "://" in str(path)


def _flock(number):
    """True: locked now; False: another process has it; None: no locks."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _machine():
    """Name of the running kernel, whose processes see each other's locks."""
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
        pass  # it belongs to somebody else, or the notes are cut off
    return True


def _parsed(text):
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
