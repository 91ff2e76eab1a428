"""A map of unlabelled photographs shows some of them in their places."""

import numpy as np
import pytest
from matplotlib.offsetbox import AnnotationBbox
from PIL import Image

from simclr_keras import evaluation
from simclr_keras.report import embedding_map
from simclr_keras.report import plots

pytestmark = pytest.mark.newest


def test_one_point_of_each_cell_is_chosen():
    """Two cells a side: of those near (0, 0), the one nearest to (0.5, 0.5)."""
    points = np.array([[0, 0], [0.4, 0.6], [2, 0], [2, 2], [1.9, 1.8]])
    assert set(embedding_map.spread(points, 2)) == {1, 2, 4}
    many = np.random.default_rng(0).random((2000, 2))
    assert len(embedding_map.spread(many)) <= 14 * 14
    assert len(embedding_map.spread(np.zeros((3, 2)))) == 1


@pytest.mark.parametrize("labelled", [False, True])
def test_images_stand_where_their_embedding_does(
    tmp_path, monkeypatch, labelled
):
    plane = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    monkeypatch.setattr(
        evaluation, "to_plane", lambda *_, **__: (plane, "tsne")
    )
    monkeypatch.setattr(plots, "FORMATS", ("png",))
    figures = []
    original = plots.plane
    monkeypatch.setattr(
        plots, "plane", lambda *a: figures.append(original(*a)) or figures[-1]
    )
    asked = []

    def read(rows):
        asked.extend(rows)
        return np.full((*rows.shape, 8, 8, 3), 100, np.uint8)

    labels = np.array([0, 0, 1, 1]) if labelled else None
    picture, _ = embedding_map.draw(
        tmp_path,
        np.zeros((4, 2)),
        np.array([3, 1, 2]),
        labels,
        read_images=read,
    )
    boxes = [
        box
        for box in figures[0].axes[0].artists
        if isinstance(box, AnnotationBbox)
    ]
    with Image.open(picture) as image:
        said = image.info["Description"]
    if labelled:
        assert not boxes and not asked
    else:
        assert sorted(asked) == [1, 2, 3]
        assert sorted(tuple(box.xy) for box in boxes) == sorted(
            map(tuple, plane)
        )
        assert "3 of them shown in their places" in said
