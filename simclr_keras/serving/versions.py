"""Numbered folders of exported models, as TensorFlow Serving reads them."""

import contextlib
import pathlib
import shutil
import tempfile

import tensorflow as tf

from simclr_keras import paths
from simclr_keras.serving import single_file

# What makes a version one that can be loaded.
_LAST = ("saved_model.pb", *single_file.FILES.values())
# What TensorFlow makes of the errors of an operating system's files.
_FILE_ERRORS = (
    tf.errors.AbortedError,
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnknownError,
)


@contextlib.contextmanager
def new_version(directory, version=None):
    """Context in which a version is written aside, then put in its place.

    Args:
        directory: path that holds the versions, local or such as
            `gs://bucket/export`; made where missing.
        version: positive integer. Default: one more than the highest there,
            which is 1 in a new directory.

    Yields:
        Pair of an empty `pathlib.Path` to write to, and the final one,
        `directory/version`. When the block ends the first is renamed to the
        second, or copied where that has a scheme, the model's file last; when
        it fails it is removed. Nothing that exists is replaced.

    Raises:
        ValueError: the directory is a file, or of a scheme that TensorFlow
            does not know; the version is no positive integer, or exists.
        OSError: something could not be written, on a full disk for example;
            it says where and why.
    """
    base = paths.as_path(directory, "directory")
    if base.exists() and not base.is_dir():
        raise ValueError(
            f"directory must not be a file. Received: directory={str(base)!r}"
        )
    whole = isinstance(version, int) and not isinstance(version, bool)
    if version is not None and not (whole and version > 0):
        raise ValueError(
            "version must be a positive integer, or None for the next one."
            f" Received: version={version!r}"
        )
    final = base / str(version or _last(base) + 1)
    _check_new(final)
    if paths.is_remote(final):
        with _said_in_a_sentence(base):
            with paths.made_locally(final, _LAST) as fresh:
                fresh.mkdir()
                yield fresh, final
                _check_new(final)  # it may have come meanwhile
        return
    with _said_in_a_sentence(base):
        present = base.is_dir()
        base.mkdir(parents=True, exist_ok=True)
        # Serving looks at folders whose names are numbers, at no others.
        work = pathlib.Path(tempfile.mkdtemp(prefix=".new.", dir=base))
        try:
            fresh = work / "version"
            fresh.mkdir()
            yield fresh, final
            _check_new(final)  # it may have come meanwhile
            fresh.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
            if not present:
                with contextlib.suppress(OSError):  # others have put one there
                    base.rmdir()


@contextlib.contextmanager
def _said_in_a_sentence(base):
    """Turns errors of files, Python's and TensorFlow's, into one `OSError`."""
    try:
        yield
    except (OSError, *_FILE_ERRORS) as error:
        reason = getattr(error, "strerror", None) or str(error)
        # TensorFlow's begins with the path of the file aside.
        reason = reason.splitlines()[0].rsplit("; ", 1)[-1]
        raise OSError(
            f"the export could not be written to {str(base)!r}, and nothing"
            f" is left of it there: {reason}. Make room or name another"
            " directory, and export again."
        ) from error


def _last(base):
    numbers = [
        int(path.name)
        for path in (base.iterdir() if base.is_dir() else ())
        if path.name.isdigit()
    ]
    return max(numbers, default=0)


def _check_new(final):
    if final.exists():
        raise ValueError(
            f"version must be a new one: {final} exists, and is not replaced."
            " Leave version out for the next one."
        )
