"""Writes a `.npy` file row by row, and resumes after an interruption."""

from __future__ import annotations

import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterable

import numpy as np

from simclr_keras import disk
from simclr_keras import paths

_SAVE_SECONDS = 10.0  # from one save of `append_all` to the next


class RowsFile:
    """Array `[n, C]` of float32 on disk, written row by row.

    Until it is complete, the file is named `<path>.partial`, and `<path>.rows`
    has the number of rows that are safely on disk. Memory does not grow with n.
    Only a local file can be mapped into memory. For a path with a scheme, the
    rows are collected in a local temporary directory, and a new process starts
    from the first row.

    Args:
        path: path of the finished file, local or with a scheme.
        count: number n of rows, at least 1.
        columns: number C of columns.

    Attributes:
        done: number of rows written by this process or an earlier one.

    Raises:
        ValueError: an existing partial file has another shape, or is damaged.
        OSError: the disk has no room for all rows.
    """

    def __init__(self, path: paths.PathLike, count: int, columns: int):
        self._path, self._remote = paths.as_path(path), None
        if paths.is_remote(self._path):
            self._remote = self._path
            self._folder = tempfile.TemporaryDirectory()
            self._path = pathlib.Path(self._folder.name) / self._remote.name
        self._partial = self._path.with_name(self._path.name + ".partial")
        self._notes = self._path.with_name(self._path.name + ".rows")
        self.done = 0
        shape = (count, columns)
        if self._notes.exists() and self._partial.exists():
            self._array, self.done = self._begun(shape)
        else:
            self._array = self._fresh(shape)
        self._safe = self.done

    def _begun(self, shape):
        """Opens an earlier process's file; returns the array and `done`."""
        try:
            array = np.lib.format.open_memmap(self._partial, "r+")
            done = int(self._notes.read_text())
        except ValueError as error:
            raise ValueError(
                f"{self._partial} and {self._notes.name} must be as a process"
                f" that was cut off has left them. Received: {error}; remove"
                " both to begin anew"
            ) from error
        if array.shape != shape or not 0 <= done <= len(array):
            raise ValueError(
                f"{self._partial} must be of {shape} numbers, as this run"
                f" makes them. Received: {array.shape}, of which"
                f" {done} rows are done; remove it to begin anew"
            )
        self._allocate(array, written=array.offset + array.nbytes)
        return array, done

    def _fresh(self, shape):
        # Of an earlier file, whose rows are no longer there.
        self._notes.unlink(missing_ok=True)
        with disk.naming(self._partial):
            array = np.lib.format.open_memmap(
                self._partial, "w+", np.float32, shape
            )
        try:
            self._allocate(array, written=array.offset)
        except OSError:
            del array
            self._partial.unlink()
            raise
        return array

    def _allocate(self, array, written):
        with open(self._partial, "r+b") as file:
            disk.allocate(file, array.offset + array.nbytes, written)

    def append(self, rows: np.ndarray) -> None:
        """Writes the next rows, float `[b, C]`."""
        end = self.done + len(rows)
        self._array[self.done : end] = rows
        self.done = end

    def append_all(
        self,
        batches: Iterable[np.ndarray],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Writes batches as they come, and saves them every few seconds.

        Args:
            batches: iterable of float `[b, C]`, the remaining rows.
            progress: function of the number of written rows, called after
                each batch. Defaults to None.
        """
        saved = time.monotonic()
        for batch in batches:
            self.append(batch)
            if progress is not None:
                progress(self.done)
            if time.monotonic() - saved > _SAVE_SECONDS:
                self.save()
                saved = time.monotonic()

    def save(self) -> None:
        """Writes the rows to disk, so that another process can resume."""
        if self.done == self._safe:
            return
        self._array.flush()
        aside = self._notes.with_name(self._notes.name + ".new")
        with disk.naming(aside):
            aside.write_text(str(self.done))
        os.replace(aside, self._notes)
        self._safe = self.done

    def finish(self) -> None:
        """Gives the complete file its final name.

        Raises:
            RuntimeError: rows are missing.
        """
        if self.done != len(self._array):
            raise RuntimeError(
                f"{self._path} must have {len(self._array)} rows. Received:"
                f" {self.done}"
            )
        self._array.flush()
        os.replace(self._partial, self._path)
        self._notes.unlink(missing_ok=True)
        if self._remote is not None:
            with open(self._path, "rb") as file:
                self._remote.copy_from(file)
            self._folder.cleanup()
