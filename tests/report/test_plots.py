"""What is drawn: the numbers, the pixels, and the same bytes each time."""

import base64
import io
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from simclr_keras import evaluation
from simclr_keras.report import grids
from simclr_keras.report import neighbor_plot
from simclr_keras.report import plots

pytestmark = pytest.mark.newest
SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


def _pixels(figure):
    png = plots.render(figure, "png", "title", "description")
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def _svg(figure):
    return ElementTree.fromstring(plots.render(figure, "svg", "title", "text"))


def _gray(count, size):
    """Images of the grey values 0, 1, ..., count - 1."""
    values = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return values * np.ones((1, size, size, 3), np.uint8)


def test_curves_have_the_points():
    series = {"a": [(0, 1.0), (10, 3.0)], "b": [(5, 2.0)]}
    figure = plots.curves("Title", series, "step")
    (axes,) = figure.axes
    for line, points in zip(axes.lines, series.values()):
        np.testing.assert_array_equal(line.get_xydata(), points)
    assert [t.get_text() for t in axes.get_legend().texts] == ["a", "b"]
    assert axes.get_xlabel() == "step"
    # A single point is visible, and two lines differ without their colours.
    assert all(line.get_marker() == "o" for line in axes.lines)
    assert len({line.get_linestyle() for line in axes.lines}) == 2


def test_random_guessing_is_a_line_with_its_name():
    figure = plots.curves("Title", {"a": [(0, 1.0)]}, "step", guess=3.5)
    (axes,) = figure.axes
    assert list(axes.lines[1].get_ydata()) == [3.5, 3.5]
    assert [text.get_text() for text in axes.texts] == ["random guessing"]
    assert axes.get_ylim()[1] > 3.5


def test_curves_of_many_runs():
    """A colour each, also beside one that was not measured; whole names."""
    long = " ".join(["a name that goes on"] * 4)
    names = ["_a", "b", f"{long} c", f"{long} d"]
    series = {name: [(0, 1.0), (10, 3.0)] for name in names}
    series["b"] = []
    figure = plots.curves("Title", series, "step", wide=True)
    colors = [line.get_color() for line in figure.axes[0].lines]
    assert colors == [plots.palette(4)[i] for i in (0, 2, 3)]
    (legend,) = figure.legends
    shown = [" ".join(text.get_text().split()) for text in legend.texts]
    assert shown == [names[0], *names[2:]]
    figure.draw_without_rendering()
    box = legend.get_window_extent().transformed(figure.transFigure.inverted())
    assert 0 <= box.x0 and box.x1 <= 1 and 0 <= box.y0 and box.y1 <= 1


@pytest.mark.parametrize("kind", plots.FORMATS)
def test_the_same_figure_gives_the_same_bytes(kind):
    """No date and no random names; the process's Matplotlib does not matter."""
    import matplotlib

    def draw():
        figure = plots.curves("Title", {"a": [(0, 1.0), (1, 2.0)]}, "step")
        return plots.render(figure, kind, "title", "description")

    first = draw()
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.hashsalt": None}):
        assert draw() == first


def test_files_say_what_they_show(tmp_path):
    figure = plots.curves("Title", {"a": [(0, 1.0)]}, "step")
    path = plots.save(figure, tmp_path / "a.b", "The title", "Rises & falls.")
    assert path == tmp_path / "a.b.png"
    with Image.open(path) as image:
        assert image.info["Description"] == "Rises & falls."
    assert "Rises &amp; falls." in (tmp_path / "a.b.svg").read_text()
    assert (tmp_path / "a.b.pdf").read_bytes().startswith(b"%PDF")


def test_picture_of_neighbours():
    """A frame of each colour; every image whole inside its frame."""
    images = np.stack([_gray(3, 80)] * 2)
    matches = np.array([[True, False]] * 2)
    grid = _pixels(
        neighbor_plot.neighbors(images[:, 0], images[:, 1:], matches)
    )
    # 80 pixels, 7 of frame and white on each side; 12 behind the query; 24 of
    # heading.
    assert grid.shape == (2 * 94 + 24, 3 * 94 + 12, 3)
    colors = ((150, 150, 150), (40, 160, 60), (200, 50, 50))
    for row in range(2):
        for column, color in enumerate(colors):
            top, left = 24 + 94 * row, column * 94 + 12 * (column > 0)
            image = grid[top + 8 : top + 86, left + 8 : left + 86]
            assert (image == column).all()
            frame = grid[top + 5, left : left + 94]
            assert (frame == color).all(axis=1).sum() > 40
    assert (grid[24:, 94:106] == 255).all()


def test_small_images_are_shown_pixel_by_pixel():
    """32 pixels in 64, of one row of the array in two of the picture."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 2, 32, 32, 3))
    noise = noise.astype(np.uint8)
    grid = _pixels(neighbor_plot.neighbors(noise[:, 0], noise[:, 1:]))
    for column, left in enumerate((7, 78 + 12 + 7)):
        shown = grid[31 : 31 + 64, left : left + 64]
        expected = noise[0, column].repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(shown[2:-2, 2:-2], expected[2:-2, 2:-2])


def test_many_neighbours_fit_into_a_file(tmp_path, monkeypatch):
    """Beyond what Agg draws, fewer pixels for each."""
    monkeypatch.setattr(plots, "FORMATS", ("png",))
    images = np.zeros((900, 1, 8, 8, 3), np.uint8)
    figure = neighbor_plot.neighbors(images[:, 0], images)
    # Older releases of Matplotlib refuse to draw it in more pixels.
    monkeypatch.delattr(type(figure), "draw_without_rendering")
    with Image.open(plots.save(figure, tmp_path / "grid", "", "")) as picture:
        assert 2**15 < picture.size[1] < 2**16


def test_sprite_is_read_row_by_row():
    picture = grids.sprite(_gray(5, 2))
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
    labels = np.repeat([0, 1], 30)
    figure = plots.plane(points, "Map", labels, ["a", "$b_{<"])
    (scatter,) = figure.axes[0].collections
    np.testing.assert_array_equal(scatter.get_offsets(), points)
    colors = scatter.get_facecolors()
    assert (colors[:30] == colors[0]).all() and (
        colors[30:] == colors[30]
    ).all()
    assert (colors[0] != colors[30]).any()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["a", "$b_{<"]
    assert _pixels(figure).shape == (900, 1120, 3)
    again, _ = evaluation.to_plane(h, method="tsne")
    np.testing.assert_array_equal(points, again)
    with pytest.raises(ValueError, match="at least 4 rows"):
        evaluation.to_plane(h[:3])


@pytest.mark.parametrize(
    "h, message",
    [
        (np.ones((40, 6), np.float32), "h must vary.*collapsed.*40 equal rows"),
        (np.arange(40.0)[:, np.newaxis], r"2 columns.*Received.*\(40, 1\)"),
    ],
)
@pytest.mark.parametrize("method", ["auto", "tsne"])
def test_features_without_a_map_are_refused(h, message, method):
    """t-SNE of equal rows would end the process."""
    with pytest.raises(ValueError, match=message):
        evaluation.to_plane(h, method=method)


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e-7, 1.0, 1e30])
@pytest.mark.parametrize("varying", [1, 40])
def test_features_that_hardly_vary_have_a_map(scale, varying):
    """In all rows or in one; float32 has no squares of 1e-30."""
    h = np.full((40, 6), scale if scale < 1e-7 else 1.0)
    h[:varying] += scale * np.random.default_rng(0).random((varying, 6))
    points, _ = evaluation.to_plane(h, method="tsne")
    assert np.isfinite(points).all() and np.ptp(points, axis=0).max() > 0


@pytest.mark.parametrize("count", [1, 6, 7, 20, 21, 30, 200])
def test_each_class_of_a_map_has_a_colour(count):
    points = np.random.default_rng(0).normal(size=(2 * count, 2))
    labels = np.arange(2 * count) // 2 + 3
    names = [f"class {i} of a long name that says too much" for i in range(300)]
    figure = plots.plane(points, "Map", labels, names)
    colors = figure.axes[0].collections[0].get_facecolors()
    assert len({tuple(color) for color in colors}) == count
    assert bool(figure.legends) == (count <= 30)
    if figure.legends:
        text = figure.legends[0].texts[0].get_text()
        assert text.startswith("class 3 ") and len(text) <= 28


def test_a_map_without_labels():
    points = np.random.default_rng(0).normal(size=(2000, 2))
    figure = plots.plane(points, "2,000 images")
    assert not figure.legends
    (group,) = (
        element
        for element in _svg(figure).iter(f"{SVG}g")
        if element.get("id") == "PathCollection_1"
    )
    assert len(list(group.iter(f"{SVG}use"))) == 2000


def test_svg_has_each_image_in_its_own_pixels():
    """Not drawn anew at the size of the figure."""
    images = _gray(4, 8).reshape(2, 2, 8, 8, 3)
    found = []
    for element in _svg(neighbor_plot.neighbors(images[:, 0], images)).iter():
        if element.tag == f"{SVG}image":
            data = element.get(f"{LINK}href").split(",")[1]
            with Image.open(io.BytesIO(base64.b64decode(data))) as image:
                assert image.size == (8, 8)
                found.append(int(np.asarray(image.convert("L"))[4, 4]))
    assert sorted(found) == [0, 0, 1, 2, 2, 3]


def test_names_in_other_scripts_are_drawn():
    """Boxes where the font has no such letter, and a warning; no error."""
    points = np.random.default_rng(0).normal(size=(4, 2))
    figure = plots.plane(points, "Map", [0, 0, 1, 1], ["猫", "犬\n🐶"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert _pixels(figure).shape[0] == 900
