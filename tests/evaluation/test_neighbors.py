"""Exact search, against all similarities at once; what is drawn of it."""

import numpy as np
import pytest

from simclr_keras import evaluation
from simclr_keras.evaluation import neighbors
from simclr_keras.evaluation import pictures

pytestmark = pytest.mark.newest


def _rows(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 5))


@pytest.mark.parametrize("cells", [8, 100, 2**24])
def test_search_by_blocks(cells, monkeypatch):
    """In float64 by hand: no two similarities lie within 1e-5 here."""
    monkeypatch.setattr(neighbors, "_BLOCK_CELLS", cells)
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


def test_picture_of_neighbours():
    """A frame of each colour; every image whole inside its frame."""
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 80, 80, 3), np.uint8
    )
    grid = pictures.neighbors_picture(
        [images, images], [np.array([True, False])] * 2
    )
    # 80 pixels, 3 of frame, 4 white on each side; 12 behind the query.
    assert grid.shape == (2 * 94, 3 * 94 + 12, 3)
    for column, (value, color) in enumerate(
        zip(range(3), ((150, 150, 150), (40, 160, 60), (200, 50, 50)))
    ):
        left = column * 94 + 12 * (column > 0)
        assert (grid[7:87, left + 7 : left + 87] == value).all()
        assert tuple(grid[5, left + 5]) == color
    assert (grid[:, 94:106] == 255).all()


def test_sprite_is_read_row_by_row():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 2, 2, 3), np.uint8
    )
    picture = pictures.sprite(images)
    np.testing.assert_array_equal(
        picture[::2, ::2, 0], [[0, 1, 2], [3, 4, 0], [0, 0, 0]]
    )


def test_map_of_two_clusters():
    """Rows of one cluster stay together; each has a colour of its own."""
    rng = np.random.default_rng(0)
    h = rng.normal(size=(60, 8))
    h[30:] += 20
    points, method = evaluation.to_plane(h, method="tsne")
    assert method == "tsne" and points.shape == (60, 2)
    centres = np.stack([points[:30].mean(axis=0), points[30:].mean(axis=0)])
    distances = np.linalg.norm(points[:, np.newaxis] - centres, axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), [0] * 30 + [1] * 30)
    picture = pictures.map_picture(points, [0] * 30 + [1] * 30, ["a", "b"])
    assert picture.shape == (900, 1120, 3)
    colors = {tuple(c) for c in picture[:, :900].reshape(-1, 3)}
    assert len(colors) == 3  # and white
    again, _ = evaluation.to_plane(h, method="tsne")
    np.testing.assert_array_equal(points, again)
    with pytest.raises(ValueError, match="at least 4 rows"):
        evaluation.to_plane(h[:3])
