"""The blur equals the official one."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.views import blur

pytestmark = pytest.mark.newest


def _blur(images, sigmas, radius):
    planes = tf.unstack(tf.constant(images, tf.float32), axis=-1)
    sigmas = tf.constant(sigmas, tf.float32)
    return np.stack(blur.gaussian_blur(planes, sigmas, radius), axis=-1)


def test_blur_equals_the_official_one(preprocess):
    """preprocess.npz; sums of at most 81 products of size 1 in all."""
    for case in preprocess.info["blur"]:
        image = getattr(preprocess, case["input"]) / np.float32(255)
        # The fixture also blurs small images with the kernel of larger ones.
        height = 10 * case["kernel_size_argument"]
        assert blur.kernel_radius(height) == case["radius"]
        ours = _blur(image[None], [case["sigma"]], case["radius"])[0]
        expected = getattr(preprocess, case["key"])
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


def test_impulse_responses(preprocess):
    """preprocess.npz: a one in the middle of 41 x 41."""
    image = np.zeros([1, 41, 41, 3])
    image[:, 20, 20] = 1.0
    names = (n for n in vars(preprocess) if n.startswith("blur_impulse_k"))
    for name in names:
        radius = int(name[len("blur_impulse_k") :]) // 2
        ours = _blur(image, [preprocess.info["blur_impulse_sigma"]], radius)
        expected = getattr(preprocess, name)
        np.testing.assert_allclose(ours[0], expected, rtol=0, atol=1e-7)


def test_every_image_has_its_own_sigma():
    """NumPy loops over taps, on images that are not square."""
    images = np.random.RandomState(0).rand(2, 30, 44, 3)
    sigmas, radius = [0.4, 1.9], 2
    ours = _blur(images, sigmas, radius)
    for image, sigma, result in zip(images, sigmas, ours):
        taps = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2)
        taps /= taps.sum()
        for axis in (0, 1):
            pad = [(2, 2) if a == axis else (0, 0) for a in range(3)]
            padded = np.pad(image, pad)
            image = sum(
                tap * np.take(padded, np.arange(image.shape[axis]) + i, axis)
                for i, tap in enumerate(taps)
            )
        np.testing.assert_allclose(result, image, rtol=0, atol=1e-6)
