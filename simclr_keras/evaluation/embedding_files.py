"""Names the files that hold the embeddings of a data set, and reads them.

They are one file, `embeddings.npy`, or parts such as
`embeddings-00000-of-00012.npy`. Beside each lies an index of ids and labels; a
Parquet file has these as columns instead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from simclr_keras import paths
from simclr_keras.evaluation import parquet

_HEADER_BYTES = 4096  # at most, of an `.npy` file with two axes
_NAME = re.compile(r"embeddings(?:-(\d+)-of-(\d+))?\.(npy|parquet)")


@dataclasses.dataclass(frozen=True)
class Part:
    """Rows `first` to `stop - 1` of all embeddings, and where they are written.

    Attributes:
        first: first row.
        stop: the row after the last one.
        path: path object of the file of embeddings.
        index: path object of the CSV of ids and labels; None for Parquet.
    """

    first: int
    stop: int
    path: paths.AnyPath
    index: paths.AnyPath | None

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.stop - self.first

    def remove_note(self) -> None:
        """Removes what a process left that was killed as it ended a file."""
        name = f"{self.array.name}.rows"
        self.array.with_name(name).unlink(missing_ok=True)

    @property
    def is_complete(self) -> bool:
        """Whether all rows are in a complete file, `path` or `array`."""
        return self.path.exists() or self.array.exists()

    def check(self, columns: int) -> None:
        """Checks the shape of a complete file.

        Raises:
            ValueError: it has another number of rows or columns.
        """
        for path in (self.path, self.array):
            if path.exists():
                shape = _shape_of(path)
                if shape != (self.count, columns):
                    raise ValueError(
                        f"{path} must have {self.count} rows of {columns}"
                        f" numbers, as this run makes them. Received: {shape};"
                        " name another directory, or remove the file"
                    )

    @property
    def array(self) -> paths.AnyPath:
        """The `.npy` file in which the rows are collected."""
        return self.path.with_name(f"{self.path.stem}.npy")


def parts_of(
    folder: paths.AnyPath,
    count: int,
    rows_per_file: int = 0,
    file_format: str = "npy",
) -> list[Part]:
    """Divides the embeddings of a data set into files.

    Args:
        folder: path object of the directory of the files.
        count: number of embeddings.
        rows_per_file: embeddings in a file; the last one may have fewer.
            Defaults to 0: one file.
        file_format: `"npy"` or `"parquet"`. Defaults to `"npy"`.

    Returns:
        List of `Part`, in the order of the rows.
    """
    total = -(-count // rows_per_file) if rows_per_file else 1
    size = rows_per_file or count
    parts = []
    for number in range(total):
        suffix = f"-{number:05d}-of-{total:05d}" if rows_per_file else ""
        index = folder / f"index{suffix}.csv"
        parts.append(
            Part(
                first=number * size,
                stop=min((number + 1) * size, count),
                path=folder / f"embeddings{suffix}.{file_format}",
                index=index if file_format == "npy" else None,
            )
        )
    return parts


def refuse_others(folder: paths.AnyPath, parts: list[Part]) -> None:
    """Raises a ValueError if a folder has embeddings that are no such part."""
    stems = {part.path.stem for part in parts}
    for path in _found(folder):
        if path.stem not in stems:
            raise ValueError(
                "the embeddings in model_dir must be of the same images in the"
                f" same files. Received: {path}, where {len(stems)} files are"
                " to be written; name another directory, or remove those of"
                " before"
            )


def _shape_of(path):
    """(rows, columns) of a complete file of embeddings."""
    if path.suffix == ".parquet":
        with paths.local_copy(path) as local:
            return parquet.shape_of(local)
    with tf.io.gfile.GFile(str(path), "rb") as file:
        header = io.BytesIO(file.read(_HEADER_BYTES))
    np.lib.format.read_magic(header)
    return np.lib.format.read_array_header_1_0(header)[0]


def _found(folder):
    """The complete files of embeddings in a folder, sorted by name."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in entries if _NAME.fullmatch(path.name))


@contextlib.contextmanager
def open_embeddings(
    folder: paths.PathLike,
) -> Iterator[np.ndarray | EmbeddingShards]:
    """Context of the embeddings that `simclr-embed` wrote, in one file or many.

    They are mapped into memory, not read; from a path with a scheme, they are
    copied to a local temporary directory first.

    Args:
        folder: run directory of `simclr-embed`, with `.npy` files.

    Yields:
        float32 `[n, C]`, in the order of the images, that `nearest` takes as
        bank: a `numpy.memmap`, or `EmbeddingShards` of several files.

    Raises:
        ValueError: there are none, some of the files are missing, or they are
            Parquet files.

    Example:

        with open_embeddings("runs/photos_embeddings") as bank:
            rows, similarities = nearest(queries, bank, k=10)
    """
    files = _complete_files(paths.as_path(folder, "folder"))
    with contextlib.ExitStack() as stack:
        copies = [stack.enter_context(paths.local_copy(f)) for f in files]
        arrays = [np.load(copy, mmap_mode="r") for copy in copies]
        yield arrays[0] if len(arrays) == 1 else EmbeddingShards(arrays)


def _complete_files(folder):
    """Paths of all files of one set of embeddings, in order."""
    found = _found(folder)
    names = [_NAME.fullmatch(path.name).groups() for path in found]
    if any(kind == "parquet" for *_, kind in names):
        raise ValueError(
            "folder must hold embeddings in .npy files; Parquet files are for"
            " other programs, such as pyarrow.parquet.read_table. Received:"
            f" {found[0]}"
        )
    totals = {total for _, total, _ in names}
    expected = 1 if totals in (set(), {None}) else int(max(totals - {None}))
    if len(totals) > 1 or len(found) != expected:
        raise ValueError(
            "folder must hold all files of one run of simclr-embed. Received:"
            f" {len(found)} of {expected} files of embeddings in {folder}"
        )
    return found


class EmbeddingShards:
    """Embeddings `[n, C]` in several arrays, indexed like one array.

    Args:
        arrays: list of float32 `[m, C]`, usually mapped into memory.

    Attributes:
        shape: `(n, C)`.
        dtype: that of the arrays.
        ndim: 2.

    Raises:
        ValueError: the arrays have different numbers of columns.
    """

    def __init__(self, arrays: list[np.ndarray]):
        widths = sorted({array.shape[1] for array in arrays})
        if len(widths) != 1:
            raise ValueError(
                "arrays must have the same number of columns. Received:"
                f" {widths}"
            )
        self._arrays = arrays
        self._ends = np.cumsum([len(array) for array in arrays])
        self.shape = int(self._ends[-1]), widths[0]
        self.dtype = arrays[0].dtype
        self.ndim = 2

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def __getitem__(self, rows):
        """The rows of a slice or of an integer array of any shape, in memory.

        Args:
            rows: `slice`, or integers from 0 to n - 1.

        Raises:
            IndexError: a row is out of range.
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._range(start, stop)
            rows = np.arange(start, stop, step)
        rows = np.asarray(rows)
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(
                f"rows must be in [0, {len(self)}). Received: {rows.min()} to"
                f" {rows.max()}"
            )
        result = np.empty([*rows.shape, self.shape[1]], self.dtype)
        numbers = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(numbers):
            array, here = self._arrays[number], numbers == number
            first = self._ends[number] - len(array)
            result[here] = array[rows[here] - first]
        return result

    def _range(self, start, stop):
        """Rows `start` to `stop - 1`, without an array of their numbers."""
        pieces = [self._arrays[0][:0]]
        for array, end in zip(self._arrays, self._ends):
            first = end - len(array)
            if start < end and first < stop:
                pieces.append(array[max(start - first, 0) : stop - first])
        return np.concatenate(pieces)
