"""The label of an image follows from the seed and its number alone."""

import numpy as np
import pytest

from simclr_keras import data
from simclr_keras import evaluation

pytestmark = pytest.mark.newest


def _all(source, name, batch_size=16, **arguments):
    batches = evaluation.transformed_images(
        source, name, 16, batch_size, **arguments
    )
    images, labels = zip(*batches.as_dataset().as_numpy_iterator())
    return np.concatenate(images), np.concatenate(labels)


@pytest.fixture(scope="module")
def source():
    """40 images without labels."""
    pixels = np.random.RandomState(0).randint(0, 256, (40, 16, 16, 3), np.uint8)
    return data.open_source(pixels)


@pytest.mark.parametrize("name", ["gray", "rotation", "noise", "sobel"])
def test_neither_batch_nor_other_images_matter(source, name):
    images, labels = _all(source, name)
    for batch_size in (1, 7, 40):
        others, again = _all(source, name, batch_size)
        np.testing.assert_array_equal(again, labels)
        np.testing.assert_allclose(others, images, atol=1e-6)
    rows = np.array([3, 5, 30])
    some, few = _all(source.take(rows), name)
    np.testing.assert_array_equal(few, labels[rows])
    np.testing.assert_allclose(some, images[rows], atol=1e-6)


def test_another_seed_and_the_held_out_images_draw_anew(source):
    """Rotations agree for one in four: of 40, with deviation 2.7."""
    draws = [
        _all(source, "rotation", seed=seed, held_out=held_out)[1]
        for seed in (0, 1)
        for held_out in (False, True)
    ]
    for number, one in enumerate(draws):
        for other in draws[:number]:
            assert (one == other).sum() < 10 + 5 * 2.7


def test_images_are_those_of_the_evaluation():
    """Larger ones are cropped first."""
    pixels = np.random.RandomState(1).randint(0, 256, (30, 20, 24, 3), np.uint8)
    source = data.open_source(pixels)
    expected = np.concatenate(
        list(
            data.evaluation_images(source, 16, 8, labelled=False)
            .as_dataset()
            .as_numpy_iterator()
        )
    )
    images, labels = _all(source, "sobel")
    assert set(labels) == {0, 1}
    np.testing.assert_allclose(
        images[labels == 0], expected[labels == 0], atol=1e-6
    )
