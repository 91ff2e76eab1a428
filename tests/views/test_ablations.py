"""Cutout, rotation, noise and Sobel compute what their names say."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.views import ablations

pytestmark = pytest.mark.newest


def test_cutout_covers_one_square_within_reach(seeds):
    images = tf.fill([400, 20, 24, 3], 0.9)
    ours = ablations.cutout(images, seeds(400)).numpy()
    covered = ours == 0.5
    assert (covered | (ours == np.float32(0.9))).all()
    rows = covered.any(axis=(2, 3)).sum(axis=1)
    columns = covered.any(axis=(1, 3)).sum(axis=1)
    np.testing.assert_array_equal(covered.sum((1, 2, 3)), 3 * rows * columns)
    # Half of the shorter side; cut where the centre lies near the border.
    assert rows.max() == columns.max() == 10
    assert rows.min() == columns.min() == 5
    # The centre is uniform: every pixel is covered, the middle one by 10 of
    # 20 rows and 10 of 24 columns of centres; standard error 0.02.
    fraction = covered[:, :, :, 0].mean(axis=0)
    assert fraction.min() > 0
    assert abs(fraction[10, 12] - 0.5 * 10 / 24) < 0.08


def test_rotation_turns_by_all_four_angles(seeds):
    """Peer: `numpy.rot90`."""
    image = np.random.RandomState(0).rand(6, 6, 3).astype(np.float32)
    ours = ablations.rotation(tf.stack([image] * 400), seeds(400)).numpy()
    turned = np.stack([np.rot90(image, k) for k in range(4)])
    equal = (ours[:, None] == turned[None]).all(axis=(2, 3, 4))
    np.testing.assert_array_equal(equal.sum(axis=1), 1)
    # Binomial with p = 1/4 of 400: standard deviation 8.7.
    np.testing.assert_allclose(equal.sum(axis=0), 100, atol=40)


def test_noise_is_normal_and_differs_from_image_to_image(seeds):
    images = tf.fill([50, 16, 16, 3], 0.5)
    added = ablations.noise(images, seeds(50)).numpy() - 0.5
    # 38,400 numbers: standard errors 0.1 / 196 and 0.1 / 277.
    assert abs(added.mean()) < 0.0026
    assert abs(added.std() - 0.1) < 0.0018
    assert len(np.unique(added[:, 0, 0, 0])) == 50


def test_sobel_of_a_step_is_one():
    """By hand: the masks weigh 1, 2, 1 on each side, divided by 4."""
    images = np.zeros([1, 6, 6, 3], np.float32)
    images[:, :, 3:] = 1.0
    expected = np.zeros([1, 6, 6, 3])
    expected[:, :, 2:4] = 1.0
    np.testing.assert_allclose(
        ablations.sobel(tf.constant(images)), expected, atol=1e-7
    )
