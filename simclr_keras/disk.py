"""Finds the directory of caches; names the file in errors of a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import BinaryIO

if TYPE_CHECKING:
    from simclr_keras import paths


_FULL = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG")
    if hasattr(errno, name)
}
# Errors of file systems that cannot reserve space.
_CANNOT_RESERVE = (errno.EINVAL, errno.ENOSYS, errno.ENODEV, errno.EOPNOTSUPP)
_CHUNK = 2**20


def cache_directory() -> pathlib.Path:
    """Default directory of caches, in `XDG_CACHE_HOME` or else `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(root).expanduser() / "simclr_keras"


def allocate(file: BinaryIO, length: int, written: int = 0) -> None:
    """Reserves the space of a file before it is mapped into memory.

    Writing to a memory-mapped file on a full disk kills the process (SIGBUS)
    without a message. File systems that compress or share blocks between
    snapshots can run full nevertheless.

    Args:
        file: binary file, open for writing, empty or of its final length.
        length: length in bytes that the file will have.
        written: number of bytes at the start of the file to keep. Defaults to
            0.

    Raises:
        OSError: there is not enough space; the error names the file.
    """
    if length <= written and not hasattr(os, "posix_fallocate"):
        return
    with naming(file.name, f"{length / 2**30:.3f} GiB are needed"):
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, max(length, 1))
                return
            except OSError as error:
                if error.errno not in _CANNOT_RESERVE:
                    raise
        # Elsewhere, as on macOS, writing zeros reserves the space.
        file.seek(written)
        zeros = bytes(_CHUNK)
        for start in range(written, length, _CHUNK):
            file.write(zeros[: length - start])
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def naming(path: paths.PathLike, need: str = "") -> Iterator[None]:
    """Context for writing a file, in which every OSError names the file.

    Errors of TensorFlow's writers become an OSError too.

    Args:
        path: path of the file, or of the directory of several files.
        need: the required space, in words. Defaults to "".

    Raises:
        OSError: the file could not be written.
    """
    try:
        yield
    except _tensorflow_errors() as error:
        text = str(getattr(error, "message", error)).splitlines()[0]
        raise OSError(f"{path} could not be written: {text}") from error
    except OSError as error:
        if error.errno is None or (error.filename and error.errno not in _FULL):
            raise
        text = os.strerror(error.errno)
        if error.errno in _FULL:
            need = f" ({need})" if need else ""
            text += (
                f"{need}. Make room, then run the same command again; it goes"
                " on from what is there"
            )
        raise OSError(error.errno, text, str(path)) from error


def _tensorflow_errors():
    """Classes of TensorFlow's errors; none if it is not imported."""
    tensorflow = sys.modules.get("tensorflow")
    return () if tensorflow is None else (tensorflow.errors.OpError,)
