"""A `.npy` file that grows row by row, and goes on where it was cut off."""

import json
import os
import pathlib
import tempfile

import numpy as np

from simclr_keras import paths


class RowsFile:
    """Array `[n, C]` of float32 on the disk, written from its first row on.

    While it grows it is called `<path>.partial`, and `<path>.rows` says how
    many of its rows are safe. Memory does not grow with n. Where the file is to
    have a path with a scheme, it grows in a local temporary directory, and is
    begun anew in another process: only a local file can be mapped into memory.

    Args:
        path: of the finished file, local or with a scheme.
        count: rows n, at least 1.
        columns: C.

    Attributes:
        done: rows that are there already, of an earlier process or of this.

    Raises:
        ValueError: what is there is of another size.
    """

    def __init__(self, path, count, columns):
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
            self._array = np.lib.format.open_memmap(self._partial, "r+")
            self.done = json.loads(self._notes.read_text())
            if self._array.shape != shape:
                raise ValueError(
                    f"{self._partial} must be of {shape} numbers, as this run"
                    f" makes them. Received: {self._array.shape}; remove it to"
                    " begin anew"
                )
        else:
            self._array = np.lib.format.open_memmap(
                self._partial, "w+", np.float32, shape
            )
        self._safe = self.done

    def append(self, rows):
        """Writes the next rows, float `[b, C]`."""
        end = self.done + len(rows)
        self._array[self.done : end] = rows
        self.done = end

    def save(self):
        """Makes what was written safe from the end of the process."""
        if self.done == self._safe:
            return
        self._array.flush()
        aside = self._notes.with_name(self._notes.name + ".new")
        aside.write_text(json.dumps(self.done))
        os.replace(aside, self._notes)
        self._safe = self.done

    def finish(self):
        """Gives the file its name.

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
