"""Gives a path object for a local path and for `gs://bucket/run` alike.

A local path is a `pathlib.Path`, and nothing changes for it. One with a scheme
is a `RemotePath`, which has the methods of `pathlib.Path` that are used here,
over `tf.io.gfile`: of every scheme that TensorFlow reads in this process.
(`etils.epath` does the same for gs, s3, az and hf alone.) What such a file
system cannot do has a substitute:

| cannot | instead |
| --- | --- |
| seek, append, map a file into memory, read HDF5 | the file is copied to a \
local temporary one, and a changed one back when it is closed |
| rename a folder | a folder is made locally, and its files are copied; the \
one that makes it readable comes last (`made_locally`) |
| replace a file in one step | it is written beside, then renamed: object \
stores copy it, and readers see the old one or the new one |
| fsync | a file is safe when closing it has succeeded |
| a hard link | a copy |
| a lock that ends with its process | the lock of a run directory beats \
(`training/lock.py`) |
| go on with a half-written `embeddings.npy` | it is begun anew |
| a cache of decoded images, mapped into memory | refused: keep it locally |
"""

import contextlib
import dataclasses
import errno
import fnmatch
import io
import os
import pathlib
import posixpath
import re
import shutil
import tempfile
import types

import tensorflow as tf

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(/?)")
# File systems that list a folder with a slash behind its name.
_MARKS_FOLDERS = ("gs",)
# Bytes copied at a time.
_CHUNK = 2**22


def is_remote(path):
    """Whether `as_path` has made a path of another file system."""
    return isinstance(path, RemotePath)


def as_path(path, name="path"):
    """The path object of a string.

    Args:
        path: string, `os.PathLike` or `RemotePath`.
        name: of the argument or flag, for the error.

    Returns:
        `RemotePath` where it begins with `scheme://`, else `pathlib.Path`;
        `file:///a` is the local `/a`.

    Raises:
        ValueError: TensorFlow knows no file system of that scheme, or a slash
            of it is missing.
    """
    if is_remote(path):
        return path
    text = os.fspath(path)
    match = _SCHEME.match(text)
    if not match or (not match[2] and match[1] not in _schemes()):
        return pathlib.Path(path)
    scheme, rest = match[1], text[match.end() :]
    known = ", ".join(f"{each}://" for each in _schemes())
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
            f" TensorFlow reads here ({known}). Received: {text!r}; no folder"
            f" named '{scheme}:' is made. Name another path"
        )
    if not rest.strip("/"):
        raise ValueError(
            f"{name} must name something behind the scheme, as in"
            f" {scheme}://bucket/run. Received: {text!r}"
        )
    return RemotePath(text)


def _schemes():
    found = tf.io.gfile.get_registered_schemes()
    return sorted(each for each in found if each)


class RemotePath:
    """A path such as `gs://bucket/run`, with the methods of `pathlib.Path`.

    It is no `os.PathLike`: what takes local paths alone fails at once, instead
    of making a folder named `gs:`. Give `str(path)` to what reads it by
    TensorFlow. Errors are those of Python, `OSError` and its like.

    Args:
        text: with its scheme; see `as_path`, which checks it.
    """

    def __init__(self, text):
        self._scheme, _, rest = text.partition("://")
        root, *parts = rest.split("/")
        self._parts = (root, *(each for each in parts if each))

    def __str__(self):
        return f"{self._scheme}://{'/'.join(self._parts)}"

    def __repr__(self):
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other):
        return is_remote(other) and str(self) == str(other)

    def __lt__(self, other):
        return str(self) < str(other)

    def __le__(self, other):
        return str(self) <= str(other)

    def __hash__(self):
        return hash(str(self))

    @property
    def scheme(self):
        """`gs` of `gs://bucket`."""
        return self._scheme

    def __truediv__(self, name):
        return type(self)(f"{self}/{name}")

    def joinpath(self, *parts):
        """The path of something in the folder."""
        return type(self)("/".join([str(self), *map(str, parts)]))

    @property
    def name(self):
        """Last part; of `gs://bucket`, the bucket."""
        return self._parts[-1]

    @property
    def stem(self):
        """The name without its ending."""
        return posixpath.splitext(self.name)[0]

    @property
    def suffix(self):
        """The ending of the name, with its dot."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self):
        """The folder above; of `gs://bucket`, itself."""
        above = self._parts[:-1] or self._parts
        return type(self)(f"{self._scheme}://{'/'.join(above)}")

    @property
    def parents(self):
        """The folders above, the nearest one first."""
        found = []
        here = self
        while here.parent != here:
            here = here.parent
            found.append(here)
        return found

    def with_name(self, name):
        """The same folder's file of another name."""
        return self.parent / name

    def relative_to(self, other):
        """`pathlib.PurePosixPath` from a folder above to this one."""
        above = other._parts
        same = other._scheme == self._scheme
        if not same or self._parts[: len(above)] != above:
            raise ValueError(f"{self} is not below {other}")
        return pathlib.PurePosixPath(*self._parts[len(above) :])

    def resolve(self):
        """Itself: there are no links."""
        return self

    def expanduser(self):
        """Itself: there is no home."""
        return self

    def exists(self):
        """Whether there is a file or a folder."""
        with self._python_errors():
            return tf.io.gfile.exists(str(self))

    def is_dir(self):
        """Whether it is a folder."""
        with self._python_errors():
            return tf.io.gfile.isdir(str(self))

    def is_file(self):
        """Whether it is a file."""
        return self.exists() and not self.is_dir()

    def stat(self):
        """`st_size` in bytes and `st_mtime_ns`."""
        with self._python_errors():
            about = tf.io.gfile.stat(str(self))
        return types.SimpleNamespace(
            st_size=about.length, st_mtime_ns=about.mtime_nsec
        )

    def iterdir(self):
        """Yields what is in the folder."""
        with self._python_errors():
            names = tf.io.gfile.listdir(str(self))
        for name in names:
            if name.strip("/"):  # some list the folder itself
                yield self / name.strip("/")

    def glob(self, pattern):
        """Yields what is in the folder and has such a name."""
        if not self.is_dir():
            return
        for path in self.iterdir():
            if fnmatch.fnmatchcase(path.name, pattern):
                yield path

    def mkdir(self, parents=False, exist_ok=False):
        """Makes the folder; object stores have those above it anyway."""
        if not exist_ok and self.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(self))
        with self._python_errors():
            tf.io.gfile.makedirs(str(self))

    def unlink(self, missing_ok=False):
        """Removes the file."""
        try:
            with self._python_errors():
                tf.io.gfile.remove(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target):
        """Renames the file; another one of that name goes."""
        with self._python_errors():
            tf.io.gfile.rename(str(self), str(target), overwrite=True)
        return target

    @contextlib.contextmanager
    def open(self, mode="r", *, encoding="utf-8", newline=None):
        """Context of a local copy; it is written back where the block ends.

        Where the block fails, nothing is written.

        Args:
            mode: "r", "w" or "a", with "b" for bytes.
            encoding: of text.
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

    def read_bytes(self):
        """The content."""
        with self.open("rb") as file:
            return file.read()

    def read_text(self, encoding="utf-8"):
        """The content as text."""
        with self.open(encoding=encoding) as file:
            return file.read()

    def write_bytes(self, data):
        """Makes it the content."""
        self.copy_from(io.BytesIO(data))

    def write_text(self, data, encoding="utf-8"):
        """Makes it the content."""
        self.write_bytes(data.encode(encoding))

    def copy_to(self, file):
        """Copies the content into an open binary file."""
        with self._python_errors(), tf.io.gfile.GFile(str(self), "rb") as own:
            shutil.copyfileobj(own, file, _CHUNK)

    def copy_from(self, file):
        """Makes the content of an open binary file its own."""
        # Beside, and anew: ram:// writes over the file that is there and leaves
        # its end; others would show half of it.
        beside = self.with_name(f".{self.name}.upload")
        if beside.exists():
            beside.unlink()
        with self._python_errors():
            with tf.io.gfile.GFile(str(beside), "wb") as own:
                shutil.copyfileobj(file, own, _CHUNK)
                own.write(b"")  # makes the file where there are no bytes
        beside.replace(self)

    @contextlib.contextmanager
    def _python_errors(self):
        try:
            yield
        except tf.errors.NotFoundError as error:
            raise FileNotFoundError(
                errno.ENOENT, os.strerror(errno.ENOENT), str(self)
            ) from error
        except tf.errors.PermissionDeniedError as error:
            raise PermissionError(
                errno.EACCES, os.strerror(errno.EACCES), str(self)
            ) from error
        except tf.errors.OpError as error:
            raise OSError(f"{self}: {error.message}") from error


def walk(root):
    """As `os.walk`, links followed: (folder, names below, file names).

    Args:
        root: path of a folder; local or remote.

    Yields:
        Triple of a path object and two lists of strings; names that the caller
        takes out of the first list are not visited.
    """
    if is_remote(root):
        if root.is_dir():  # else nothing, as `os.walk`
            yield from _walk_remote(root)
        return
    for folder, below, names in os.walk(root, followlinks=True):
        yield pathlib.Path(folder), below, names


def _walk_remote(root):
    below, names = [], []
    for entry in sorted(scandir(root), key=lambda entry: entry.name):
        (below if entry.is_dir() else names).append(entry.name)
    yield root, below, names
    for name in below:
        yield from _walk_remote(root / name)


def scandir(folder):
    """List of what is in a folder, as `os.scandir` describes it.

    Args:
        folder: path object, local or remote.

    Returns:
        List of `os.DirEntry`, or of objects with what is used of it: `name`,
        `path`, `is_dir()`, `is_file()` and `is_symlink()`.
    """
    if not is_remote(folder):
        return list(os.scandir(folder))
    with folder._python_errors():
        listed = tf.io.gfile.listdir(str(folder))
    entries = []
    for name in listed:
        path = folder / name.strip("/")
        if path == folder:  # some list the folder itself
            continue
        below = name.endswith("/")
        if not below and folder.scheme not in _MARKS_FOLDERS:
            below = path.is_dir()
        entries.append(_Entry(path.name, str(path), below))
    return entries


@dataclasses.dataclass(frozen=True)
class _Entry:
    """As `os.DirEntry`; what is no folder is a file, and nothing is a link."""

    name: str
    path: str
    folder: bool

    def is_dir(self):
        """Whether it is a folder."""
        return self.folder

    def is_file(self):
        """Whether it is a file."""
        return not self.folder

    def is_symlink(self):
        """Whether it is a link: never."""
        return False


def remove_tree(path):
    """Removes a folder and what is in it, where it is there."""
    if not is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        with path._python_errors():
            tf.io.gfile.rmtree(str(path))


def link_or_copy(path, second):
    """Gives a file a second name, or copies it where links fail."""
    second.unlink(missing_ok=True)
    try:
        if not is_remote(path):
            os.link(path, second)
            return
    except OSError:
        pass
    second.write_bytes(path.read_bytes())


@contextlib.contextmanager
def local_copy(path):
    """Context of a local `pathlib.Path` with a file's content, to be read.

    Args:
        path: path object. A local one is given back as it is; of a remote one
            the copy is removed when the block ends.
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
def made_locally(path, last=()):
    """Context of a new local path, whose file or folder then goes to `path`.

    Args:
        path: `RemotePath` of a new file or folder. Nothing is left there where
            the block or the copying fails.
        last: names of the files that are copied behind all others.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / path.name
        yield made
        if made.is_file():
            with open(made, "rb") as file:
                path.copy_from(file)
            return
        files = [each for each in made.rglob("*") if each.is_file()]
        try:
            for each in sorted(files, key=lambda f: (f.name in last, f)):
                target = path / each.relative_to(made).as_posix()
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(each, "rb") as file:
                    target.copy_from(file)
        except BaseException:
            remove_tree(path)
            raise
