"""Creates numbered folders of exports, as TensorFlow Serving reads them."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from simclr_keras import paths
from simclr_keras import scalars
from simclr_keras.serving import single_file

# The files without which a version cannot be loaded; they are copied last.
_LAST = ("saved_model.pb", *single_file.FILES.values())
# TensorFlow's counterparts of OSError.
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
def new_version(
    directory: paths.PathLike, version: int | None = None
) -> Iterator[tuple[pathlib.Path, paths.AnyPath]]:
    """Context to write a version in a temporary folder that is then renamed.

    Args:
        directory: path that holds the versions, local or such as
            `gs://bucket/export`; created if missing.
        version: positive integer. Default: one more than the highest existing
            version, 1 in a new directory.

    Yields:
        Pair of an empty `pathlib.Path` to write to, and the final path,
        `directory/version`. After the block the first is renamed to the second;
        or copied, the model's file last, if the directory has a scheme. If the
        block fails the first is removed. Existing files are never replaced.

    Raises:
        ValueError: the directory is a file, or has a scheme that TensorFlow
            does not support; the version is not a positive integer, or exists.
        OSError: something could not be written, for example on a full disk;
            the message says where and why.
    """
    base = paths.as_path(directory, "directory")
    if base.exists() and not base.is_dir():
        raise ValueError(
            f"directory must not be a file. Received: directory={str(base)!r}"
        )
    if version is not None and not (scalars.is_whole(version) and version > 0):
        raise ValueError(
            "version must be a positive integer, or None for the next one."
            f" Received: version={version!r}"
        )
    final = base / str(version or _highest(base) + 1)
    _check_new(final)
    if paths.is_remote(final):
        with _explain_file_errors(base):
            with paths.made_locally(final, _LAST) as folder:
                folder.mkdir()
                yield folder, final
                _check_new(final)  # another process may have written it
        return
    with _explain_file_errors(base):
        existed = base.is_dir()
        base.mkdir(parents=True, exist_ok=True)
        # TensorFlow Serving ignores folders whose names are not numbers.
        work = pathlib.Path(tempfile.mkdtemp(prefix=".new.", dir=base))
        try:
            folder = work / "version"
            folder.mkdir()
            yield folder, final
            _check_new(final)  # another process may have written it
            folder.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
            if not existed:
                with contextlib.suppress(OSError):  # it is not empty
                    base.rmdir()


@contextlib.contextmanager
def _explain_file_errors(base):
    """Turns file errors of Python and TensorFlow into one kind of `OSError`."""
    try:
        yield
    except (OSError, *_FILE_ERRORS) as error:
        reason = getattr(error, "strerror", None) or str(error)
        # TensorFlow's message begins with the path of the temporary file.
        reason = reason.splitlines()[0].rsplit("; ", 1)[-1]
        raise OSError(
            f"the export could not be written to {str(base)!r}, and nothing"
            f" is left of it there: {reason}. Make room or name another"
            " directory, and export again."
        ) from error


def _highest(base):
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
