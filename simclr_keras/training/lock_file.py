"""Opens the file that carries a lock, on a disk or in an object store.

On a disk the kernel locks it (`flock`); a store has no locks, so there its
content alone says who uses it.
"""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError as error:
    raise ImportError(
        "simclr_keras needs Linux or macOS: it locks run directories as they"
        " do. On Windows, use it in WSL 2 (Windows Subsystem for Linux)."
    ) from error

if TYPE_CHECKING:
    from simclr_keras import paths


class LocalFile:
    """A file on a disk, locked by the kernel where that is possible.

    Attributes:
        locked: True: by this process; False: by another one; None: the file
            system has no locks.
    """

    def __init__(self, path: str):
        self._path = path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        while True:
            self._number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            self.locked = _flock(self._number)
            # The last holder may have removed it between the two calls.
            if not self.locked or self._is_at_path():
                return
            os.close(self._number)

    def _is_at_path(self):
        try:
            return os.path.samestat(os.fstat(self._number), os.stat(self._path))
        except FileNotFoundError:
            return False

    def read(self) -> str:
        """Returns the text; reopens the file to see changes over a network."""
        try:
            return pathlib.Path(self._path).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def write(self, text: str) -> None:
        """Replaces the text; if the disk is full, the lock suffices."""
        data = text.encode()
        try:
            os.pwrite(self._number, data, 0)
            os.ftruncate(self._number, len(data))
            os.fsync(self._number)
        except OSError:
            if not self.locked:
                raise

    def remove(self) -> None:
        """Removes the file while it is locked."""
        os.unlink(self._path)

    def close(self) -> None:
        """Closes the file, which unlocks it."""
        os.close(self._number)


class RemoteFile:
    """An object of a store that has no locks."""

    locked = None

    def __init__(self, path: str):
        from simclr_keras import paths  # loads TensorFlow

        self._path = paths.as_path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> str:
        """Returns the text; empty if there is no such object."""
        try:
            return self._path.read_text()
        except FileNotFoundError:
            return ""

    def write(self, text: str) -> None:
        """Replaces the object."""
        self._path.write_text(text)

    def remove(self) -> None:
        """Removes the object."""
        self._path.unlink()

    def close(self) -> None:
        """Does nothing, as no file is open."""


def open_file(path: str) -> LocalFile | RemoteFile:
    """Opens or creates the file of a lock, and locks it where that works.

    Raises:
        OSError: the directory cannot be written to.
    """
    return RemoteFile(path) if has_scheme(path) else LocalFile(path)


def has_scheme(path: paths.PathLike) -> bool:
    """Whether a path names a store, such as `gs://bucket/run`, not a disk."""
    return "://" in str(path)


def _flock(number):
    """Locks a file descriptor.

    Returns:
        True if this process has the lock, False if another one has it, None if
        the file system has no locks.
    """
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
