"""views.png: what it shows, what its header says, how large it becomes."""

import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.report import grids
from simclr_keras.report import view_header

pytestmark = pytest.mark.newest


class _Same:
    """Both views are the image itself."""

    def __call__(self, images, step):
        if images.shape.rank == 5:
            return tuple(
                tf.cast(images[:, k], tf.float32) / 255 for k in (0, 1)
            )
        return (tf.cast(images, tf.float32) / 255,) * 2


def _levels(count, *shape):
    """Images of the grey values 10, 20, ..."""
    levels = 10 * np.arange(1, count + 1).reshape(count, *[1] * len(shape))
    return tf.constant(levels * np.ones(shape), tf.uint8)


def test_each_image_stands_beside_its_views_below_a_header():
    """Images of 64 pixels with a frame of 1: 66; 8 pixels behind three."""
    picture = grids.view_pairs(_Same(), _levels(5, 64, 64, 3), columns=4)
    width = 4 * (3 * 66 + 8)
    header = picture.shape[0] - 2 * 66
    assert picture.shape[1] == width
    assert 30 < header < 120
    assert picture[:header].max() > 150  # letters
    for image in range(5):
        row, column = divmod(image, 4)
        top, left = header + 66 * row, column * (3 * 66 + 8)
        cells = picture[top + 1 : top + 65, left : left + 3 * 66]
        for cell in np.split(cells, 3, axis=1):
            assert (cell[:, 1:-1] == 10 * (image + 1)).all()


def test_large_crops_make_no_larger_picture():
    picture = grids.view_pairs(_Same(), _levels(9, 2, 512, 512, 3))
    assert picture.shape[1] < 2700
    assert picture.shape[0] < 3 * 162 + 120


def test_the_header_says_the_settings():
    views = sk.TwoViews(
        image_size=32,
        crop_area=(0.2, 1.0),
        color_strength=0.5,
        second={"blur_probability": 0.25, "flip_probability": 1.0},
        append=("cutout",),
    )
    lines = view_header.describe(views, 8, (32, 32))
    assert lines[0].startswith("8 images of the first batch")
    assert "two views of 32 x 32 pixels" in lines[0]
    assert lines[1] == (
        "View 1: crops of 20% to 100% of the area, flip (50%), colour jitter of"
        " strength 0.5 (80%), grey (20%), cutout."
    )
    assert "View 2:" in lines[2]
    assert "blur (25%)" in lines[2]
    assert "flip," in lines[2]
    same = view_header.describe(sk.TwoViews(image_size=32), 8, (32, 32))
    assert len(same) == 2
    assert same[1].startswith("Both views: crops of 8% to 100%")


def test_layers_of_others_are_named():
    assert view_header.describe(_Same(), 2, (8, 8))[1] == (
        "Both views: layer _Same."
    )
