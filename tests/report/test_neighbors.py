"""Neighbours of unlabelled photographs: similarity, names, not oneself."""

import numpy as np
import pytest
from PIL import Image

from simclr_keras.report import neighbor_grid
from simclr_keras.report import neighbor_plot
from simclr_keras.report import plots

pytestmark = pytest.mark.newest

# At 0, 60, 90 and nearly 0 degrees: cosines 1, 0.5, 0 and 0.99995.
BANK = np.array([[1, 0], [0.5, 3**0.5 / 2], [0, 1], [1, 0.01]], np.float32)
NAMES = ["/photos/a.jpg", "/photos/b.jpg", "/photos/c.jpg", "/copy/a.jpg"]


@pytest.fixture
def drawn(monkeypatch):
    """What `neighbors` is given, by name."""
    given = {}

    def neighbors(queries, images, matches, texts):
        given.update(images=images[..., 0, 0, 0], texts=texts)
        return original(queries, images, matches, texts)

    original = neighbor_plot.neighbors
    monkeypatch.setattr(neighbor_plot, "neighbors", neighbors)
    monkeypatch.setattr(plots, "FORMATS", ("png",))
    return given


def _read(rows):
    """Images of 8 pixels whose value is their row."""
    values = rows[..., None, None, None].astype(np.uint8)
    return values * np.ones((8, 8, 3), np.uint8)


def test_embedded_queries_have_similarities_and_names(tmp_path, drawn):
    path, share = neighbor_grid.draw_of_rows(
        tmp_path, BANK, np.array([0, 3]), 2, _read, names=NAMES
    )
    assert share is None
    # Rows 0 and 3 are alike: each is the other's first, and not its own.
    assert drawn["images"].tolist() == [[3, 1], [0, 1]]
    assert drawn["texts"][0] == [
        ["a.jpg"],
        ["1.000", "a.jpg"],
        ["0.500", "b.jpg"],
    ]
    with Image.open(path) as image:
        assert "cosine similarity" in image.info["Description"]


def test_an_image_file_of_the_data_set_is_not_its_own_neighbour(
    tmp_path, drawn
):
    files = []
    for name in "abc":
        files.append(str(tmp_path / f"{name}.jpg"))
        (tmp_path / f"{name}.jpg").touch()
    assert neighbor_grid.row_of_file(files, files[1]) == 1
    odd = f"{tmp_path}/../{tmp_path.name}/b.jpg"
    assert neighbor_grid.row_of_file(files, odd) == 1
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "b.jpg").touch()
    other = str(tmp_path / "copies" / "b.jpg")
    assert neighbor_grid.row_of_file(files, other) is None
    assert neighbor_grid.row_of_file(None, other) is None
    image = np.zeros((1, 8, 8, 3), np.uint8)
    for own, rows in ((None, [0, 3]), (0, [3, 1])):
        neighbor_grid.draw_of_image(
            tmp_path, BANK, BANK[:1], image, 2, _read, NAMES, own
        )
        assert drawn["images"].tolist() == [rows]


def test_names_stand_below_and_lose_their_beginning():
    """32 pixels are drawn in 64: room for 15 letters of 5 pixels."""
    images = np.zeros((1, 2, 32, 32, 3), np.uint8)
    texts = [[["query.jpg"], ["0.912", "a_very_long_name_of_1234.jpg"]]]
    figure = neighbor_plot.neighbors(images[:, 0], images[:, 1:], None, texts)
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == ["query", "query.jpg", "1", "0.912\n…me_of_1234.jpg"]
