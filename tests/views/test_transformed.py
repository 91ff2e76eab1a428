"""What is done to an image is what its label says."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.views import ablations
from simclr_keras.views import transformed

pytestmark = pytest.mark.newest


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("name", ["gray", "noise", "sobel"])
def test_half_are_changed_and_the_others_left(pictures, seeds, name, dtype):
    """Peers: the luma of ITU-R BT.601; our Sobel, which has its own test."""
    pixels = pictures(200, 8)
    images = pixels / np.float32(255)
    given = pixels if dtype == "uint8" else images
    ours, labels = transformed.transform(given, seeds(200), name)
    ours, labels = ours.numpy(), labels.numpy()
    assert ours.dtype == np.float32 and labels.dtype == np.int64
    assert ours.min() >= 0 and ours.max() <= 1
    # Binomial: standard deviation 7.1.
    assert abs(labels.sum() - 100) < 36
    left, changed = labels == 0, labels == 1
    np.testing.assert_array_equal(ours[left], images[left])
    if name == "gray":
        luma = images @ np.array([0.2989, 0.5870, 0.1140])
        np.testing.assert_allclose(
            ours[changed], np.repeat(luma[changed, ..., None], 3, -1), atol=1e-6
        )
    elif name == "sobel":
        edges = ablations.sobel(tf.constant(images)).numpy()
        edges = np.clip(edges, 0, 1)
        np.testing.assert_allclose(ours[changed], edges[changed], atol=1e-6)
    else:
        inside = (ours > 0) & (ours < 1) & (images > 0.4) & (images < 0.6)
        added = (ours - images)[inside & changed[:, None, None, None]]
        # Some thousand numbers of deviation 0.1, cut at 4 of them and more.
        assert abs(added.std() - 0.1) < 0.005
        assert abs(added.mean()) < 0.005


def test_rotations_have_the_number_of_quarter_turns(pictures, seeds):
    """Peer: `numpy.rot90`."""
    pixels = pictures(200, 8)
    ours, labels = transformed.transform(pixels, seeds(200), "rotation")
    turned = [
        np.rot90(image, turns) / np.float32(255)
        for image, turns in zip(pixels, labels.numpy())
    ]
    np.testing.assert_array_equal(ours, turned)
    counts = np.bincount(labels, minlength=4)
    # Binomial with p = 1/4: standard deviation 6.1.
    assert len(counts) == 4 and np.abs(counts - 50).max() < 31


def test_an_unknown_transformation_is_refused(pictures, seeds):
    with pytest.raises(ValueError, match="one of gray, .* Received: 'blur'"):
        transformed.transform(pictures(2, 8), seeds(2), "blur")
