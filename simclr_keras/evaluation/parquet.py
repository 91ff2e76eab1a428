"""Writes embeddings with their ids and labels as a Parquet file."""

from __future__ import annotations

import importlib
import os
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from simclr_keras import disk
from simclr_keras import paths

_ROWS = 2**14  # of a row group, which is in memory as a whole


def check_usable(name: str = "file_format") -> None:
    """Refuses Parquet if pyarrow cannot be imported.

    Args:
        name: name of the argument or flag, for the message. Defaults to
            "file_format".

    Raises:
        ValueError: it cannot.
    """
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError as error:  # newer ones do not work with NumPy 1
        raise ValueError(
            f"{name} can be parquet only with pyarrow, which the extra parquet"
            " installs (pip install '.[parquet]'). Received: an environment"
            f" in which importing it fails: {error}"
        ) from error


def write(
    path: paths.AnyPath,
    embeddings: np.ndarray,
    ids: Sequence[str],
    labels: Mapping[str, Sequence],
    first: int = 0,
) -> None:
    """Writes a Parquet file; it appears when it is complete.

    Its columns are `row`, int64; `id`, string; those of the labels; and
    `embedding`, a list of C float32.

    Args:
        path: path object of the file, local or with a scheme.
        embeddings: float32 `[n, C]`, perhaps mapped into memory.
        ids: strings `[n]`.
        labels: dict of column -> n integers, floats, strings, or None.
        first: number of the first row. Defaults to 0.
    """
    if paths.is_remote(path):
        with paths.made_locally(path) as local:
            _write(local, embeddings, ids, labels, first)
        return
    partial = path.with_name(path.name + ".partial")
    _write(partial, embeddings, ids, labels, first)
    os.replace(partial, path)


def shape_of(path: pathlib.Path) -> tuple[int, int]:
    """(rows, columns of the embeddings) of a local file that `write` made."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    kind = file.schema_arrow.field("embedding").type
    return file.metadata.num_rows, kind.list_size


def _write(path, embeddings, ids, labels, first):
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, columns = embeddings.shape
    schema = pa.schema(
        [
            ("row", pa.int64()),
            ("id", pa.string()),
            *((name, _type(values)) for name, values in labels.items()),
            ("embedding", pa.list_(pa.float32(), columns)),
        ]
    )
    with disk.naming(path), pq.ParquetWriter(path, schema) as writer:
        for start in range(0, count, _ROWS):
            stop = min(start + _ROWS, count)
            flat = np.ravel(embeddings[start:stop])
            content = [
                pa.array(np.arange(first + start, first + stop)),
                pa.array(list(ids[start:stop]), pa.string()),
                *(
                    pa.array(values[start:stop], _type(values))
                    for values in labels.values()
                ),
                pa.FixedSizeListArray.from_arrays(pa.array(flat), columns),
            ]
            writer.write_table(pa.Table.from_arrays(content, schema=schema))


def _type(values):
    """Arrow's type of a column; int64 if all values are None."""
    import pyarrow as pa

    if hasattr(values, "dtype"):
        return pa.from_numpy_dtype(values.dtype)
    return pa.string() if isinstance(values[0], str) else pa.int64()
