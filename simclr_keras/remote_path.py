"""Defines a path in a remote file system, over `tf.io.gfile`."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import io
import os
import pathlib
import posixpath
import shutil
import tempfile
import types
from collections.abc import Iterator
from typing import IO
from typing import BinaryIO

import tensorflow as tf

# Bytes copied at a time.
_CHUNK = 2**22


class RemotePath:
    """A path such as `gs://bucket/run`, with the methods of `pathlib.Path`.

    It is not an `os.PathLike`, so functions for local paths fail at once
    instead of creating a folder named `gs:`. Pass `str(path)` to TensorFlow.
    Errors are those of Python, `OSError` and its subclasses.

    Args:
        text: path with its scheme; `paths.as_path` checks it.
    """

    def __init__(self, text: str):
        self._scheme, _, rest = text.partition("://")
        root, *parts = rest.split("/")
        self._parts = (root, *(part for part in parts if part))

    def __str__(self):
        return f"{self._scheme}://{'/'.join(self._parts)}"

    def __repr__(self):
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other):
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __lt__(self, other):
        return str(self) < str(other)

    def __le__(self, other):
        return str(self) <= str(other)

    def __hash__(self):
        return hash(str(self))

    @property
    def scheme(self) -> str:
        """The scheme, such as `gs` of `gs://bucket`."""
        return self._scheme

    def __truediv__(self, name):
        return type(self)(f"{self}/{name}")

    def joinpath(self, *parts) -> RemotePath:
        """The path of a file or folder below this folder."""
        return type(self)("/".join([str(self), *map(str, parts)]))

    @property
    def name(self) -> str:
        """The last part of the path; of `gs://bucket`, the bucket."""
        return self._parts[-1]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return posixpath.splitext(self.name)[0]

    @property
    def suffix(self) -> str:
        """The suffix of the name, with its dot."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> RemotePath:
        """The folder above; of `gs://bucket`, the path itself."""
        above = self._parts[:-1] or self._parts
        return type(self)(f"{self._scheme}://{'/'.join(above)}")

    @property
    def parents(self) -> list[RemotePath]:
        """The folders above, the nearest one first."""
        folders = []
        path = self
        while path.parent != path:
            path = path.parent
            folders.append(path)
        return folders

    def with_name(self, name: str) -> RemotePath:
        """The path of another name in the same folder."""
        return self.parent / name

    def relative_to(self, other: RemotePath) -> pathlib.PurePosixPath:
        """The `pathlib.PurePosixPath` from a folder above to this path."""
        above = other._parts
        same = other._scheme == self._scheme
        if not same or self._parts[: len(above)] != above:
            raise ValueError(f"{self} is not below {other}")
        return pathlib.PurePosixPath(*self._parts[len(above) :])

    def resolve(self) -> RemotePath:
        """Returns the path itself, as there are no links."""
        return self

    def exists(self) -> bool:
        """Whether the file or folder exists."""
        with self.python_errors():
            return tf.io.gfile.exists(str(self))

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        with self.python_errors():
            return tf.io.gfile.isdir(str(self))

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.exists() and not self.is_dir()

    def stat(self) -> types.SimpleNamespace:
        """Returns `st_size`, in bytes, and `st_mtime_ns`."""
        with self.python_errors():
            status = tf.io.gfile.stat(str(self))
        return types.SimpleNamespace(
            st_size=status.length, st_mtime_ns=status.mtime_nsec
        )

    def iterdir(self) -> Iterator[RemotePath]:
        """Yields the paths of the entries of the folder."""
        with self.python_errors():
            names = tf.io.gfile.listdir(str(self))
        for name in names:
            if name.strip("/"):  # some file systems list the folder itself
                yield self / name.strip("/")

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Yields the entries of the folder whose names match a pattern."""
        if not self.is_dir():
            return
        for path in self.iterdir():
            if fnmatch.fnmatchcase(path.name, pattern):
                yield path

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes the folder and those above it, whatever `parents` is."""
        if not exist_ok and self.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(self))
        with self.python_errors():
            tf.io.gfile.makedirs(str(self))

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the file."""
        try:
            with self.python_errors():
                tf.io.gfile.remove(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target: str | RemotePath) -> str | RemotePath:
        """Renames the file, and overwrites another one of that name."""
        with self.python_errors():
            tf.io.gfile.rename(str(self), str(target), overwrite=True)
        return target

    @contextlib.contextmanager
    def open(
        self,
        mode: str = "r",
        *,
        encoding: str = "utf-8",
        newline: str | None = None,
    ) -> Iterator[IO]:
        """Context of a local copy, which is uploaded when the block ends.

        Nothing is uploaded if the block fails, or in mode "r".

        Args:
            mode: "r", "w" or "a", with "b" for bytes.
            encoding: encoding of text.
            newline: see `io.TextIOWrapper`.
        """
        kind = mode.strip("bt")
        with tempfile.TemporaryFile() as local:
            if kind == "r" or (kind == "a" and self.exists()):
                self.copy_to(local)
            local.seek(0, os.SEEK_END if kind == "a" else os.SEEK_SET)
            if "b" in mode:
                yield local
            else:
                text = io.TextIOWrapper(local, encoding, newline=newline)
                yield text
                text.detach()  # flushes
            if kind != "r":
                local.seek(0)
                self.copy_from(local)

    def read_bytes(self) -> bytes:
        """Returns the content as bytes."""
        with self.open("rb") as file:
            return file.read()

    def read_text(self, encoding: str = "utf-8") -> str:
        """Returns the content as text."""
        with self.open(encoding=encoding) as file:
            return file.read()

    def write_bytes(self, data: bytes) -> None:
        """Replaces the content by bytes."""
        self.copy_from(io.BytesIO(data))

    def write_text(self, data: str, encoding: str = "utf-8") -> None:
        """Replaces the content by text."""
        self.write_bytes(data.encode(encoding))

    def copy_to(self, file: BinaryIO) -> None:
        """Copies the content into an open binary file."""
        with self.python_errors(), tf.io.gfile.GFile(str(self), "rb") as remote:
            shutil.copyfileobj(remote, file, _CHUNK)

    def copy_from(self, file: BinaryIO) -> None:
        """Replaces the content by that of an open binary file."""
        # To a new temporary file: ram:// overwrites an existing file without
        # truncating it, and other readers would see an incomplete file.
        temporary = self.with_name(f".{self.name}.upload")
        if temporary.exists():
            temporary.unlink()
        with self.python_errors():
            with tf.io.gfile.GFile(str(temporary), "wb") as remote:
                shutil.copyfileobj(file, remote, _CHUNK)
                remote.write(b"")  # creates the file even if it is empty
        temporary.replace(self)

    @contextlib.contextmanager
    def python_errors(self) -> Iterator[None]:
        """Context that turns TensorFlow's errors into an OSError of Python."""
        try:
            yield
        except tf.errors.NotFoundError as error:
            raise FileNotFoundError(
                errno.ENOENT, os.strerror(errno.ENOENT), str(self)
            ) from error
        except tf.errors.PermissionDeniedError as error:
            # The message of the store says which permission is missing.
            raise PermissionError(
                errno.EACCES, error.message, str(self)
            ) from error
        except tf.errors.OpError as error:
            raise OSError(f"{self}: {error.message}") from error
