"""Embeddings in several files: their names, and how they are read as one."""

import numpy as np
import pytest

from simclr_keras import evaluation
from simclr_keras.evaluation import embedding_files
from simclr_keras.evaluation import parquet

pytestmark = pytest.mark.newest
ROWS = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


def _write(folder, rows_per_file, rows=ROWS):
    parts = embedding_files.parts_of(folder, len(rows), rows_per_file)
    for part in parts:
        np.save(part.path, rows[part.first : part.stop])
    return parts


def test_names_and_rows(tmp_path):
    parts = embedding_files.parts_of(tmp_path, 10, 4)
    assert [(part.first, part.stop) for part in parts] == [
        (0, 4),
        (4, 8),
        (8, 10),
    ]
    assert parts[2].path.name == "embeddings-00002-of-00003.npy"
    assert parts[2].index.name == "index-00002-of-00003.csv"
    (whole,) = embedding_files.parts_of(tmp_path, 10)
    assert (whole.path.name, whole.index.name) == (
        "embeddings.npy",
        "index.csv",
    )


@pytest.mark.parametrize("rows_per_file", [0, 1, 4, 10, 20])
def test_read_as_one_array(tmp_path, rows_per_file):
    _write(tmp_path, rows_per_file)
    with evaluation.open_embeddings(tmp_path) as bank:
        assert (len(bank), bank.shape, bank.ndim) == (10, (10, 3), 2)
        assert bank.dtype == np.float32
        for rows in (
            slice(None),
            slice(3, 9),
            slice(5, 5),
            slice(None, None, 3),
            np.array([9, 0, 4, 4]),
            np.array([[1, 8], [3, 2]]),
            7,
        ):
            np.testing.assert_array_equal(bank[rows], ROWS[rows])
        np.testing.assert_array_equal(np.asarray(bank), ROWS)


def test_neighbours_are_those_of_one_file(tmp_path):
    _write(tmp_path, 3)
    queries = ROWS[[2, 7]] + 0.1
    expected = evaluation.nearest(queries, ROWS, 4, library="numpy")
    with evaluation.open_embeddings(str(tmp_path)) as bank:
        for ours, theirs in zip(evaluation.nearest(queries, bank, 4), expected):
            np.testing.assert_array_equal(ours, theirs)


def test_a_row_out_of_range_is_refused(tmp_path):
    _write(tmp_path, 4)
    with evaluation.open_embeddings(tmp_path) as bank:
        with pytest.raises(IndexError, match=r"rows must be in \[0, 10\)"):
            bank[np.array([0, 10])]


def test_what_is_not_whole_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: 0 of 1 files"):
        with evaluation.open_embeddings(tmp_path):
            pass
    parts = _write(tmp_path, 4)
    parts[1].path.unlink()
    with pytest.raises(ValueError, match="Received: 2 of 3 files"):
        with evaluation.open_embeddings(tmp_path):
            pass
    parts[1].path.with_suffix(".parquet").touch()
    with pytest.raises(ValueError, match="Parquet files are for other"):
        with evaluation.open_embeddings(tmp_path):
            pass


def test_files_of_other_embeddings_are_refused(tmp_path):
    _write(tmp_path, 4)
    parts = embedding_files.parts_of(tmp_path, 10, 4)
    embedding_files.refuse_others(tmp_path, parts)
    for part in parts:
        assert part.is_complete
        part.check(3)
    with pytest.raises(ValueError, match="must have 4 rows of 5 numbers"):
        parts[0].check(5)
    others = embedding_files.parts_of(tmp_path, 10, 5)
    assert not others[0].is_complete
    others[0].check(3)
    with pytest.raises(ValueError, match="where 2 files are"):
        embedding_files.refuse_others(tmp_path, others)


@pytest.mark.parametrize(
    "labels",
    [
        {"label": np.arange(2**14 + 5) % 7},
        {"label": [None] * (2**14 + 5)},
        {"label": ["a|b", ""] * 2**13 + ["b"] * 5},
        {
            "age": np.arange(2**14 + 5, dtype=np.float32) / 2,
            "weight": np.ones(2**14 + 5, np.float32),
        },
    ],
    ids=["classes", "none", "several", "numbers"],
)
def test_a_parquet_file_has_ids_and_labels(tmp_path, labels):
    """Read by pyarrow, over more than one row group."""
    reader = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    count = 2**14 + 5
    rows = np.arange(2 * count, dtype=np.float32).reshape(-1, 2)
    ids = [f"a/{number}.png" for number in range(count)]
    path = tmp_path / "embeddings.parquet"
    parquet.write(path, rows, ids, labels, first=100)
    assert parquet.shape_of(path) == (count, 2)
    table = reader.read_table(path)
    assert table.column_names == ["row", "id", *labels, "embedding"]
    assert table["row"].to_pylist() == list(range(100, 100 + count))
    assert table["id"].to_pylist() == ids
    for name, values in labels.items():
        assert table[name].to_pylist() == list(values)
    found = np.stack(table["embedding"].to_numpy(zero_copy_only=False))
    np.testing.assert_array_equal(found, rows)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
