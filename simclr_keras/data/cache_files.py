"""Keeps decoded images in a cache on the disk.

A cache is a directory with `pixels`, the bytes of all images, and `index.npz`,
with their sizes and a digest of the encoded images. It is written under a
temporary name, and renamed when it is complete. The next process that makes the
cache removes directories that killed processes left incomplete.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import socket
from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from simclr_keras import disk
from simclr_keras import paths
from simclr_keras.data.fingerprint import digest
from simclr_keras.data.sources.source import Source

_LAYOUT = 2
_PIXELS, _INDEX = "pixels", "index.npz"


def local_directory(directory: paths.PathLike | None) -> pathlib.Path:
    """Path of the given cache directory, or of the default one.

    Raises:
        ValueError: the directory is not on this machine.
    """
    if directory is None:
        return disk.cache_directory()
    path = paths.as_path(directory, "cache_dir")
    if paths.is_remote(path):
        raise ValueError(
            "cache_dir must be a local directory: the images in it are mapped"
            f" into memory. Received: {str(path)!r}; leave it out for"
            f" {disk.cache_directory()}"
        )
    return path


def place(directory: str | os.PathLike, source: Source) -> pathlib.Path:
    """Directory of a source's cache: one for each data set and part of it."""
    rows = source.positions
    whole = len(rows) == rows[-1] + 1
    key = [_LAYOUT, tf.__version__, source.origin, source.split]
    key += [source.max_pixels, source.pixel_range]
    if source.channels is not None:
        key.append(source.channels)
    if not whole:
        key.append(rows.tobytes())
    if source.shards is not None:
        key.append(source.shards.feature)
    if source.paths is not None and _is_relative(source.paths[0]):
        key.append(os.getcwd())
    name = re.sub(r"\W+", "-", source.origin).strip("-")[-60:]
    return pathlib.Path(directory) / f"{name}-{digest(key)[:12]}"


def _is_relative(path):
    path = paths.as_path(path)
    return not paths.is_remote(path) and not path.is_absolute()


def contents(source: Source) -> str:
    """Computes a digest that changes when the encoded images change.

    Args:
        source: `Source` with `files` or `shards`, whose names, sizes and
            modification times are used, or with `encoded` images.
    """
    if source.paths is None:
        return digest(source.encoded)
    notes = []
    for path in source.paths:
        try:
            about = paths.as_path(path).stat()
        except OSError:
            notes.append((path, None))
            continue
        notes.append((path, about.st_size, about.st_mtime_ns))
    return digest(notes)


def read(path: pathlib.Path, mark: str) -> tuple[np.ndarray, np.ndarray] | str:
    """Maps an existing cache into memory.

    Args:
        path: its directory.
        mark: `contents` of the source.

    Returns:
        `(pixels, sizes)`: `uint8` array mapped from the file, and `int32`
        `[n, 2]`; or the reason why there is no valid cache, a string.
    """
    if not path.exists():
        return "is not made yet"
    try:
        with np.load(path / _INDEX, allow_pickle=False) as index:
            if str(index["fingerprint"]) != mark:
                return "is of images that have changed since"
            sizes, length = index["sizes"], int(index["bytes"])
        if (path / _PIXELS).stat().st_size != length:
            return "is damaged"
        # Copy-on-write, so that the file stays as it is.
        pixels = np.memmap(path / _PIXELS, np.uint8, "c")
    except Exception as error:  # a damaged file can raise anything
        return f"is damaged ({error})"
    return np.asarray(pixels), sizes


def write(
    path: pathlib.Path,
    mark: str,
    length: int,
    fill: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Writes a cache, and replaces an existing one.

    Args:
        path: its directory.
        mark: `contents` of the source.
        length: size of the pixels in bytes.
        fill: function of the `uint8` array `[length]` that writes the pixels
            and returns their sizes, `int32` `[n, 2]`.
    """
    aside = path.with_name(f"{path.name}{_suffix(os.getpid())}")
    aside.mkdir(parents=True)
    try:
        with open(aside / _PIXELS, "wb") as file:
            disk.allocate(file, length)
            pixels = np.memmap(aside / _PIXELS, np.uint8, "r+")
            sizes = fill(pixels)
            pixels.flush()
            del pixels
            os.fsync(file.fileno())
        with open(aside / _INDEX, "wb") as file:
            np.savez(file, fingerprint=mark, bytes=length, sizes=sizes)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.rmtree(path)
        os.rename(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _suffix(process):
    return f".partial-{socket.gethostname()}-{process}"


@contextlib.contextmanager
def alone(path: pathlib.Path) -> Iterator[None]:
    """Context in which only one process of this machine makes a cache.

    Other processes wait for it. Removes what killed processes have left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f"{path.name}.lock"), "w") as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass  # file system without locks: each makes it, the last stays
        else:
            for left in path.parent.glob(f"{path.name}{_suffix('*')}"):
                shutil.rmtree(left, ignore_errors=True)
        yield
