"""Exact search, against all similarities at once."""

import numpy as np
import pytest

from simclr_keras import evaluation
from simclr_keras.evaluation import neighbors

pytestmark = pytest.mark.newest


def _rows(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 5))


@pytest.mark.parametrize("queries_at_a_time", [1, 3, 4096])
@pytest.mark.parametrize("cells", [8, 100, 2**24])
def test_search_by_blocks(cells, queries_at_a_time, monkeypatch):
    """In float64 by hand: no two similarities lie within 1e-5 here."""
    monkeypatch.setattr(neighbors, "_BLOCK_CELLS", cells)
    monkeypatch.setattr(neighbors, "_BLOCK_QUERIES", queries_at_a_time)
    queries, bank = _rows(7, 0), _rows(90, 1)
    lengths = [np.linalg.norm(x, axis=1) for x in (queries, bank)]
    cosines = queries @ bank.T / lengths[0][:, None] / lengths[1]
    expected = np.argsort(-cosines, axis=1)[:, :6]
    rows, similarities = evaluation.nearest(
        queries, bank.astype(np.float32), 6, library="numpy"
    )
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(
        similarities, np.take_along_axis(cosines, expected, 1), atol=1e-6
    )


def test_equal_rows_come_in_their_order(monkeypatch):
    monkeypatch.setattr(neighbors, "_BLOCK_CELLS", 20)
    bank = np.repeat(np.eye(5), 4, axis=0)
    rows, _ = evaluation.nearest(np.eye(5), bank, 4, library="numpy")
    np.testing.assert_array_equal(rows, np.arange(20).reshape(5, 4))


def test_a_bank_on_the_disk(tmp_path):
    np.save(tmp_path / "bank.npy", _rows(30, 1).astype(np.float32))
    mapped = np.load(tmp_path / "bank.npy", mmap_mode="r")
    rows, _ = evaluation.nearest(_rows(2, 0), mapped, 3)
    expected, _ = evaluation.nearest(
        _rows(2, 0), np.array(mapped), 3, library="numpy"
    )
    np.testing.assert_array_equal(rows, expected)


def test_the_vote_does_not_depend_on_what_is_installed(monkeypatch):
    """An accuracy is computed by the same search with FAISS and without."""

    def refuse(*arguments):
        raise AssertionError("FAISS orders equal rows otherwise")

    monkeypatch.setattr(neighbors, "_search_with_faiss", refuse)
    bank = np.repeat(np.eye(5), 4, axis=0)
    labels = np.arange(20) % 4
    found = evaluation.knn_predict(bank, labels, np.eye(5), k=3)
    np.testing.assert_array_equal(found, np.zeros(5))


def test_faiss_finds_the_same():
    queries, bank = _rows(7, 0), _rows(90, 1)
    found = [
        evaluation.nearest(queries, bank, 6, library=library)
        for library in ("numpy", "faiss")
    ]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"k": 0}, "from 1 to 90"),
        ({"k": 91}, "from 1 to 90"),
        ({"bank": _rows(9, 0)[:, :3]}, "width 5"),
        ({"library": "annoy"}, "auto, numpy or faiss"),
        ({"queries": np.full((2, 5), np.nan)}, "must be finite"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {"queries": _rows(7, 0), "bank": _rows(90, 1), "k": 3}
    with pytest.raises(ValueError, match=message):
        evaluation.nearest(**{**arguments, **change})


@pytest.mark.parametrize("library", ["numpy", "faiss"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bank_that_is_not_finite(library, value):
    bank = _rows(90, 1)
    bank[70, 2] = value
    with pytest.raises(ValueError, match="bank must be finite"):
        evaluation.nearest(_rows(7, 0), bank, 3, library=library)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e20, 1e37])
@pytest.mark.filterwarnings("error")
def test_similarity_does_not_depend_on_the_scale(scale):
    """float32 overflows in the squares of 1e20."""
    queries, bank = _rows(7, 0), _rows(90, 1)
    scales = np.where(np.arange(90) % 2, 1.0, scale)[:, np.newaxis]
    expected, similar = evaluation.nearest(queries, bank, 6, library="numpy")
    rows, similarities = evaluation.nearest(
        scale * queries, scales * bank, 6, library="numpy"
    )
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(similarities, similar, atol=1e-6)
    labels = np.arange(90) % 3
    np.testing.assert_array_equal(
        evaluation.knn_predict(scales * bank, labels, scale * queries, k=6),
        evaluation.knn_predict(bank, labels, queries, k=6),
    )
