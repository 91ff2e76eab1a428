"""Makes path objects for local paths and for paths such as `gs://bucket/run`.

A local path becomes a `pathlib.Path`. A path with a scheme becomes a
`RemotePath`, which implements the methods of `pathlib.Path` that this package
uses with `tf.io.gfile`, for every scheme that TensorFlow supports in this
process. (`etils.epath` supports gs, s3, az and hf only.) For operations that
remote file systems lack there are substitutes:

| operation | substitute |
| --- | --- |
| seek, append, memory-map a file, read HDF5 | the file is copied to a local \
temporary one, which is copied back when it is closed, if it was changed |
| rename a folder | the folder is made locally, then its files are copied; the \
file without which it cannot be read comes last (`made_locally`) |
| replace a file atomically | a temporary file is written and renamed: object \
stores copy it, and readers see the old or the new file |
| fsync | a file is safe once it was closed without an error |
| hard link | copy |
| lock that ends with its process | the lock of a run directory has a \
heartbeat (`training/lock.py`) |
| continue an incomplete `embeddings.npy` | it is started again |
| memory-mapped cache of decoded images | refused: the cache must be local |
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Collection
from collections.abc import Iterator
from typing import Any
from typing import Union

import tensorflow as tf

from simclr_keras.remote_path import RemotePath

# What `as_path` returns, and what it takes.
AnyPath = Union[pathlib.Path, RemotePath]
PathLike = Union[str, os.PathLike, RemotePath]
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(/?)")
# File systems that list folders with a slash at the end of their names.
_MARKS_FOLDERS = ("gs",)


def is_remote(path: Any) -> bool:
    """Whether a path is a `RemotePath`."""
    return isinstance(path, RemotePath)


def as_path(path: PathLike, name: str = "path") -> AnyPath:
    """Converts a string to a path object.

    Args:
        path: string, `os.PathLike` or `RemotePath`.
        name: name of the argument or flag, for the error message.

    Returns:
        `RemotePath` if the path begins with `scheme://`, else `pathlib.Path`;
        `file:///a` is the local `/a`, and `~/a` lies in the home directory.

    Raises:
        ValueError: TensorFlow does not support the scheme, or one of its
            slashes is missing.
    """
    if is_remote(path):
        return path
    text = os.fspath(path)
    match = _SCHEME.match(text)
    if not match or (not match[2] and match[1] not in _schemes()):
        return pathlib.Path(os.path.expanduser(text))
    scheme, rest = match[1], text[match.end() :]
    supported = ", ".join(f"{registered}://" for registered in _schemes())
    if not match[2]:
        raise ValueError(
            f"{name} must have two slashes behind a scheme, as in {scheme}://"
            f"{rest}; pathlib drops one, so give it as a string. Received:"
            f" {text!r}"
        )
    if scheme == "file":
        return pathlib.Path("/" + rest.partition("/")[2])
    if scheme not in _schemes():
        raise ValueError(
            f"{name} must be a local path, or begin with a scheme that"
            f" TensorFlow reads here ({supported}). Received: {text!r}; no"
            f" folder named '{scheme}:' is made. Name another path"
        )
    if not rest.strip("/"):
        raise ValueError(
            f"{name} must name something behind the scheme, as in"
            f" {scheme}://bucket/run. Received: {text!r}"
        )
    return RemotePath(text)


def _schemes():
    schemes = tf.io.gfile.get_registered_schemes()
    return sorted(scheme for scheme in schemes if scheme)


def walk(root: AnyPath) -> Iterator[tuple[AnyPath, list[str], list[str]]]:
    """Walks a folder as `os.walk` does, following links.

    Args:
        root: path of a folder, local or remote.

    Yields:
        Triple of a folder's path object, the names of its folders and the names
        of its files; folders that the caller removes from the list are skipped.
    """
    if is_remote(root):
        if root.is_dir():  # else yields nothing, like `os.walk`
            yield from _walk_remote(root)
        return
    for folder, folders, names in os.walk(root, followlinks=True):
        yield pathlib.Path(folder), folders, names


def _walk_remote(root):
    folders, names = [], []
    for entry in sorted(scandir(root), key=lambda entry: entry.name):
        (folders if entry.is_dir() else names).append(entry.name)
    yield root, folders, names
    for name in folders:
        yield from _walk_remote(root / name)


def scandir(folder: AnyPath) -> list:
    """Lists the entries of a folder.

    Args:
        folder: path object, local or remote.

    Returns:
        List of `os.DirEntry`; for a remote folder, of objects with `name`,
        `path`, `is_dir()`, `is_file()` and `is_symlink()`.
    """
    if not is_remote(folder):
        return list(os.scandir(folder))
    with folder.python_errors():
        listed = tf.io.gfile.listdir(str(folder))
    entries = []
    for name in listed:
        path = folder / name.strip("/")
        if path == folder:  # some file systems list the folder itself
            continue
        is_folder = name.endswith("/")
        if not is_folder and folder.scheme not in _MARKS_FOLDERS:
            is_folder = path.is_dir()
        entries.append(_Entry(path.name, str(path), is_folder))
    return entries


@dataclasses.dataclass(frozen=True)
class _Entry:
    """Entry of a remote folder, like `os.DirEntry`: a file or a folder."""

    name: str
    path: str
    folder: bool

    def is_dir(self):
        """Whether the entry is a folder."""
        return self.folder

    def is_file(self):
        """Whether the entry is a file."""
        return not self.folder

    def is_symlink(self):
        """Returns False: remote file systems have no links."""
        return False


def remove_tree(path: AnyPath) -> None:
    """Removes a folder with all its contents, if it exists."""
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        with path.python_errors():
            tf.io.gfile.rmtree(str(path))


def link_or_copy(path: AnyPath, second: AnyPath) -> None:
    """Hard-links a file to a second path, or copies it if links fail."""
    second.unlink(missing_ok=True)
    try:
        if not is_remote(path):
            os.link(path, second)
            return
    except OSError:
        pass
    second.write_bytes(path.read_bytes())


@contextlib.contextmanager
def local_copy(path: AnyPath) -> Iterator[pathlib.Path]:
    """Context of a local `pathlib.Path` from which to read a file.

    Args:
        path: path object. A local one is yielded unchanged; for a remote one,
            the path of a temporary copy, which is removed when the block ends.
    """
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / path.name
        with open(copy, "wb") as file:
            path.copy_to(file)
        yield copy


@contextlib.contextmanager
def made_locally(
    path: RemotePath, last: Collection[str] = ()
) -> Iterator[pathlib.Path]:
    """Context of a new local path; its file or folder is then copied to `path`.

    Args:
        path: `RemotePath` of a new file or folder. Nothing remains there if the
            block or the copying fails.
        last: names of the files to copy after all others.
    """
    with tempfile.TemporaryDirectory() as folder:
        local = pathlib.Path(folder) / path.name
        yield local
        if local.is_file():
            with open(local, "rb") as file:
                path.copy_from(file)
            return
        sources = [source for source in local.rglob("*") if source.is_file()]
        try:
            for source in sorted(sources, key=lambda f: (f.name in last, f)):
                target = path / source.relative_to(local).as_posix()
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(source, "rb") as file:
                    target.copy_from(file)
        except BaseException:
            remove_tree(path)
            raise
