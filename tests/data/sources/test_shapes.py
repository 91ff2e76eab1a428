"""The embedded data set: any size and count, and colour gives nothing away."""

import numpy as np
import pytest

from simclr_keras.data import open_source
from simclr_keras.data.sources import shapes

pytestmark = pytest.mark.newest


@pytest.fixture(scope="module")
def drawn():
    return shapes.draw_shapes(1200, seed=[0, 0])


def test_same_seed_same_pictures(drawn):
    images, labels = shapes.draw_shapes(150, seed=[0, 0])
    np.testing.assert_array_equal(images, drawn[0][:150])
    np.testing.assert_array_equal(labels, drawn[1][:150])


@pytest.mark.parametrize(
    "split, rows",
    [
        ("train[:7]", slice(0, 7)),
        ("train[95:103]", slice(95, 103)),
        ("train[110:190]", slice(110, 190)),
        ("train[250:1150]", slice(250, 1150)),
        ("train[-10%:]", slice(1080, 1200)),
    ],
)
def test_a_slice_is_drawn_alone(drawn, split, rows):
    source = open_source("shapes", split, num_examples=1200)
    np.testing.assert_array_equal(source.images, drawn[0][rows])
    np.testing.assert_array_equal(source.labels, drawn[1][rows])
    assert source.ids[0] == f"shapes:train#{rows.start}"
    assert source.split == split and source.num_classes == 10


def test_other_seed_other_pictures(drawn):
    images, _ = shapes.draw_shapes(100, seed=[0, 1])
    same = (images == drawn[0][:100]).mean()
    assert same < 0.05  # 1/256 would be equal by chance, more at 0 and 255.


def test_any_ten_in_a_row_are_of_ten_classes(drawn):
    rows = drawn[1].reshape(-1, 10)
    np.testing.assert_array_equal(
        np.sort(rows), np.tile(np.arange(10), (120, 1))
    )
    assert len(np.unique(rows, axis=0)) > 100  # 120 of 10! orders


@pytest.mark.parametrize(("count", "size"), [(1, 8), (7, 32), (103, 20)])
def test_any_size_and_count(count, size):
    images, labels = shapes.draw_shapes(count, seed=3, size=size)
    assert images.shape == (count, size, size, 3)
    assert images.dtype == np.uint8
    assert labels.shape == (count,)
    assert labels.dtype == np.int64


def test_larger_pictures_show_the_same():
    """Everything but the grain is drawn before the size comes into play."""
    small, _ = shapes.draw_shapes(50, seed=0, size=16)
    large, _ = shapes.draw_shapes(50, seed=0, size=48)
    shrunk = large.reshape(50, 16, 3, 16, 3, 3).mean(axis=(2, 4))
    # Grain has at most 0.03 * 255 = 8 levels; edges are blurred differently.
    assert np.abs(shrunk - small).mean() < 8


def _nearest_mean_accuracy(features, labels):
    """Nearest class mean, means of the first half, accuracy on the second."""
    half = len(labels) // 2
    means = [features[:half][labels[:half] == k].mean(0) for k in range(10)]
    distances = np.linalg.norm(features[half:, None] - np.stack(means), axis=-1)
    return np.mean(distances.argmin(1) == labels[half:])


def test_colour_says_nothing_about_the_class(drawn):
    """Chance is 0.10; the mean colour may tell how much a motif covers.

    600 pictures: three standard errors are 3 * sqrt(0.1 * 0.9 / 600) = 0.037.
    """
    images, labels = drawn
    colors = images.reshape(len(images), -1, 3).mean(axis=1)
    assert _nearest_mean_accuracy(colors, labels) < 0.17


def test_shape_says_the_class(drawn):
    """Spectra of the edges, blind to place, tell the motifs apart."""
    images, labels = drawn
    grey = images.astype(np.float64).mean(axis=-1)
    grey = (grey - grey.mean((1, 2), keepdims=True)) / grey.std(
        (1, 2), keepdims=True
    )
    spectra = np.log(np.abs(np.fft.rfft2(grey)) + 1).reshape(len(grey), -1)
    assert _nearest_mean_accuracy(spectra, labels) > 0.3


def test_as_a_source():
    train = open_source("shapes", num_examples=200)
    test = open_source("shapes", "test", num_examples=200)
    assert train.image_shape == (32, 32, 3)
    assert train.class_names[:3] == ("disc", "ring", "frame")
    assert train.num_classes == 10
    assert train.ids[7] == "shapes:train#7"
    np.testing.assert_array_equal(np.bincount(train.labels), [20] * 10)
    assert np.mean(train.images == test.images) < 0.05


def test_size_and_seed_by_argument():
    source = open_source(
        "shapes", "train[:40]", image_size=48, num_examples=80, seed=5
    )
    images, labels = shapes.draw_shapes(40, seed=[5, 0], size=48)
    np.testing.assert_array_equal(source.images, images)
    np.testing.assert_array_equal(source.labels, labels)


def test_unknown_split():
    with pytest.raises(ValueError, match="test, train; .*Received: 'val'"):
        open_source("shapes", "val")
    with pytest.raises(ValueError, match="at least one of the 2000 examples"):
        open_source("shapes", "test[5:5]")
