"""Pictures of images of any number of channels."""

import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.report import bands
from simclr_keras.report import grids

# Band b has the values b, b + 1, ..., b + 100, all equally often.
IMAGES = np.stack(
    [np.arange(101, dtype=np.uint8) + b for b in range(5)], axis=-1
).reshape(1, 101, 1, 5)


def test_rgb_is_shown_as_it_is():
    images = IMAGES[..., :3]
    assert bands.bands_of(images)(images) is images
    assert bands.bands_of(images).text() == ""


def test_bands_are_chosen_and_stretched():
    """Percentiles 2 and 98 of 0 to 100 are 2 and 98."""
    to_rgb = bands.bands_of(IMAGES, (4, 3, 1))
    shown = to_rgb(IMAGES)
    expected = np.clip((np.arange(101) - 2) / 96, 0, 1)
    assert shown.dtype == np.uint8
    for k in range(3):
        found = shown[0, :, 0, k]
        np.testing.assert_allclose(found, np.round(255 * expected), atol=1)
    floats = to_rgb(IMAGES.astype(np.float32) / 255)
    np.testing.assert_allclose(floats[0, :, 0, 2], expected, atol=1e-5)
    assert "channels 4, 3, 1 as red, green and blue" in to_rgb.text()


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_are_grey(count):
    to_rgb = bands.bands_of(IMAGES[..., :count])
    shown = to_rgb(IMAGES[..., :count])
    assert shown.shape == (1, 101, 1, 3)
    np.testing.assert_array_equal(shown[..., 0], shown[..., 2])
    assert "channel 1 in grey" in to_rgb.text()


def test_an_even_band_is_not_stretched():
    images = np.full((2, 4, 4, 4), 51, np.uint8)
    np.testing.assert_array_equal(bands.bands_of(images)(images), 51)


@pytest.mark.parametrize("wrong", [(1, 2), (0, 1, 2), (1, 2, 6)])
def test_other_channels_are_refused(wrong):
    with pytest.raises(ValueError, match="channels from 1 to 5"):
        bands.bands_of(IMAGES, wrong)


@pytest.mark.parametrize("channels", [1, 5])
def test_view_pairs(channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (4, 16, 16, channels), np.uint8)
    views = sk.TwoViews(16, channels=channels)
    for batch in (images, np.stack([images, images], axis=1)):
        picture = grids.view_pairs(views, tf.constant(batch))
        assert picture.dtype == np.uint8 and picture.shape[-1] == 3
        assert picture.max() == 255  # stretched
