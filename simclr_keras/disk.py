"""What a full disk does: an error that names the file, never a dead process."""

import contextlib
import errno
import os
import sys

_FULL = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG")
    if hasattr(errno, name)
}
# What a file system that cannot reserve room says.
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENODEV, errno.EOPNOTSUPP)
_CHUNK = 2**20


def allocate(file, length, written=0):
    """Reserves the room of a file before it is mapped into memory.

    Writing to a mapped file on a full disk kills the process (SIGBUS), without
    a message. File systems that compress, or share blocks of snapshots, can
    run full even so.

    Args:
        file: open for writing in binary, and empty or of the length already.
        length: bytes that the file will have.
        written: bytes of the file that are kept. Defaults to 0.

    Raises:
        OSError: there is no room; it names the file.
    """
    if length <= written and not hasattr(os, "posix_fallocate"):
        return
    with naming(file.name, f"{length / 2**30:.3f} GiB are needed"):
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, max(length, 1))
                return
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
        # Elsewhere, macOS for one, what is written is reserved.
        file.seek(written)
        zeros = bytes(_CHUNK)
        for start in range(written, length, _CHUNK):
            file.write(zeros[: length - start])
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def naming(path, need=""):
    """Around writing a file: an OSError that does not name it, does.

    An error of TensorFlow's writers becomes an OSError as well.

    Args:
        path: of the file, or of the directory of several.
        need: how much room it takes, in words. Defaults to "".

    Raises:
        OSError: it could not be written.
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
    """Classes of TensorFlow's errors, where it is loaded."""
    tensorflow = sys.modules.get("tensorflow")
    return () if tensorflow is None else (tensorflow.errors.OpError,)
