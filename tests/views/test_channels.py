"""Views of grey images and of several bands.

Their operations treat every channel alike, and draw the same numbers whatever
the channels: so the bands of a view are those of views of three at a time.
"""

import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.views import transformed

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 26, 22, 13), np.uint8)
# Without the operations that mix three channels.
PLAIN = {"saturation": 0.0, "hue": 0.0, "grayscale_probability": 0.0}


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("ready", [False, True])
def test_bands_are_those_of_rgb_views(seeds, antialias, ready):
    size = IMAGES.shape[1:3] if ready else (24, 20)
    arguments = {
        "image_size": size,
        "antialias": antialias,
        "blur_probability": 0.5,
        "append": ("cutout", "sobel"),
    }
    drawn = sk.View(channels=13, **arguments)(IMAGES, seeds(6), ready=ready)
    assert drawn.shape == (6, *size, 13)
    for bands in ([0, 1, 2], [12, 3, 7]):
        view = sk.View(**PLAIN, **arguments)
        expected = view(IMAGES[..., bands], seeds(6), ready=ready)
        found = tf.gather(drawn, bands, axis=-1)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_two_views_of_any_number(channels):
    images = IMAGES[..., :channels]
    views = sk.TwoViews(16, channels=channels, append=("rotation", "noise"))
    copy = sk.TwoViews.from_config(views.get_config())
    for a, b in zip(views(images, step=3), copy(images, step=3)):
        assert a.shape == (6, 16, 16, channels)
        np.testing.assert_array_equal(a, b)
    assert views.left_out == ("saturation", "hue", "grey")
    ready = np.stack([images[:, :16, :16]] * 2, axis=1)
    assert views(ready, step=0)[1].shape == (6, 16, 16, channels)


@pytest.mark.long
def test_compiled_by_xla():
    """The same to rounding."""
    views = [sk.TwoViews(16, channels=4, jit=jit) for jit in (False, True)]
    plain, compiled = (each(IMAGES[..., :4], step=1) for each in views)
    for a, b in zip(plain, compiled):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_what_is_left_out():
    assert sk.View(16).left_out == ()
    assert sk.View(16, channels=4, color_strength=0).left_out == ("grey",)
    gray = sk.View(16, channels=4, grayscale_probability=0.0, hue=0.0)
    assert gray.left_out == ("saturation",)


def test_other_channels_are_refused(seeds):
    with pytest.raises(ValueError, match="13 channels of its argument"):
        sk.TwoViews(16, channels=13)(IMAGES[..., :3], step=0)
    with pytest.raises(ValueError, match="three channels.*`channels`"):
        sk.View(16)(IMAGES[..., :4], seeds(6))
    with pytest.raises(ValueError, match="a whole number of at least 1"):
        sk.View(16, channels=0)
    branches = sk.View(16), sk.View(16, channels=4)
    with pytest.raises(ValueError, match="as many `channels`"):
        sk.TwoViews(16, branches=branches, channels=4)
    with pytest.raises(ValueError, match="'gray' is for images of three"):
        transformed.transform(IMAGES[:, :16, :16], seeds(6), "gray")
