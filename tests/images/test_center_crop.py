"""Evaluation preprocessing equals the official one, at any image size."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import views
from simclr_keras.images import center_crop


@pytest.mark.newest
def test_central_boxes_equal_the_official_ones(preprocess):
    """preprocess.npz: 44 pairs of image and target sizes."""
    for height, width, h, w, ch, cw, y, x in preprocess.center_crop_table:
        box = center_crop.central_box(height, width, w / h, 0.875)
        np.testing.assert_array_equal(box, [y, x, ch, cw])


@pytest.mark.newest
def test_preprocessing_equals_the_official_one(preprocess):
    """preprocess.npz; sums of 16 products of size 1 round to below 2e-6."""
    pattern = r"eval_(\w+?)_(?:size(\d+)|h(\d+)_w(\d+))_(crop|nocrop)"
    found = [re.fullmatch(pattern, name) for name in vars(preprocess)]
    found = [match for match in found if match]
    assert {match[5] for match in found} == {"crop", "nocrop"}
    for match in found:
        image, side, height, width, crop = match.groups()
        size = int(side) if side else (int(height), int(width))
        layer = views.CenterCrop(size, 0.875 if crop == "crop" else None)
        ours = layer(getattr(preprocess, image)[None])
        expected = getattr(preprocess, match[0])
        np.testing.assert_allclose(ours[0], expected, rtol=0, atol=2e-6)


def test_default_crops_only_for_larger_results(pictures):
    """Small images of the right size pass unchanged; of others the largest
    box of the aspect is resized."""
    assert views.CenterCrop(64).crop_proportion == 0.875
    small = views.CenterCrop(32)
    assert small.crop_proportion == 1.0
    images = pictures(2, 32)
    np.testing.assert_array_equal(small(images), images / np.float32(255))
    larger = pictures(2, 50)
    expected = tf.image.resize(larger / np.float32(255), (32, 32), "bicubic")
    np.testing.assert_allclose(
        small(larger), np.clip(expected, 0, 1), rtol=0, atol=2e-6
    )


@pytest.mark.newest
def test_antialias_is_that_of_tensorflow(pictures):
    """Peer: `tf.image.resize`; tolerance as for antialiased crops."""
    images = pictures(2, 90)
    # By hand: rint(0.875 * 90) = 79 pixels from (90 - 79 + 1) // 2 = 6 on.
    cut = images[:, 6:85, 6:85] / np.float32(255)
    expected = tf.image.resize(cut, (20, 20), "bicubic", antialias=True)
    ours = views.central_crop(images, 20, 0.875, antialias=True)
    np.testing.assert_allclose(ours, np.clip(expected, 0, 1), atol=1e-5, rtol=0)


def test_saved_model_takes_images_of_any_size(tmp_path, pictures):
    layer = views.CenterCrop(24, crop_proportion=0.875)
    module = tf.Module()
    module.preprocess = tf.function(
        lambda images: layer(images),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for size in (24, 37, 60):
        images = pictures(3, size)[:, : size - 3]
        np.testing.assert_allclose(
            loaded.preprocess(images), layer(images), rtol=0, atol=1e-6
        )


def test_compiles_and_stands_in_a_functional_model(pictures):
    inputs = keras.Input([None, None, 3], dtype="uint8")
    model = keras.Model(inputs, views.CenterCrop(48)(inputs))
    assert tuple(model.output_shape) == (None, 48, 48, 3)
    images = pictures(2, 61)
    compiled = tf.function(lambda x: model(x), jit_compile=True)
    np.testing.assert_allclose(
        compiled(tf.constant(images)), model(images), rtol=0, atol=2e-6
    )
    again = views.CenterCrop.from_config(model.layers[-1].get_config())
    np.testing.assert_array_equal(again(images), model(images))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(image_size=0), "`image_size`.*Received: image_size=0"),
        (dict(image_size=(32, 32, 3)), "`image_size`"),
        (dict(image_size=32, crop_proportion=1.2), "`crop_proportion`"),
        (dict(image_size=32, crop_proportion=0), "`crop_proportion`"),
        (dict(image_size=32, antialias="yes"), "`antialias`"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        views.CenterCrop(**arguments)


def test_images_must_be_bytes_or_floats():
    with pytest.raises(ValueError, match="uint8 in .* int32"):
        views.central_crop(tf.zeros([1, 8, 8, 3], tf.int32), 8)
