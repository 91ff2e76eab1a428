"""View: distributions of its draws, checks of arguments, independence."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import views
from simclr_keras.views import ablations

NOTHING = dict(
    crop=False,
    flip_probability=0.0,
    color_strength=0.0,
    grayscale_probability=0.0,
    blur_probability=0.0,
)


@keras.saving.register_keras_serializable("tests")
class Darken(keras.layers.Layer):
    """A layer of the user whose `call` has no argument `training`."""

    def call(self, images):
        return 0.5 * images


@pytest.mark.newest
def test_probabilities_are_the_official_ones(preprocess, seeds):
    """preprocess.npz, 40,000 draws or more a side: standard error 0.0035."""
    sampled = views.View(64).sample(seeds(40000))
    for name in ("jitter", "grayscale", "flip"):
        expected = getattr(preprocess, f"prob_{name}")
        assert abs(np.mean(sampled[name]) - expected) < 0.015
    pairs = 2 * np.asarray(sampled["grayscale"]) + np.asarray(sampled["jitter"])
    np.testing.assert_allclose(
        np.bincount(pairs) / 40000,
        preprocess.prob_joint_none_jitter_gray_both,
        atol=0.015,
    )


@pytest.mark.newest
def test_blur_is_drawn_for_each_image_and_view(preprocess, seeds, close_to):
    """preprocess.npz has one sigma per batch; ours differ in a batch."""
    one, other = (
        views.View(64).sample(seeds(30000, view=view)) for view in (0, 1)
    )
    close_to(one["sigma"], preprocess.blur_sigma)
    assert len(np.unique(one["sigma"])) > 29000
    blurred, blurred_other = np.asarray(one["blur"]), np.asarray(other["blur"])
    for ours, expected in (
        (blurred.mean(), preprocess.prob_blur_per_view[0]),
        (
            (blurred[::2] != blurred[1::2]).mean(),
            preprocess.prob_blur_same_batch_disagree,
        ),
        (
            (blurred != blurred_other).mean(),
            preprocess.prob_blur_view_disagree,
        ),
    ):
        assert abs(ours - expected) < 0.015


@pytest.mark.newest
@pytest.mark.parametrize("strength, key", [(1.0, "s100"), (0.5, "s50")])
def test_factors_are_the_official_ones(
    preprocess, seeds, close_to, strength, key
):
    """preprocess.npz: quantiles and bounds of all five factors."""
    for additive, brightness in enumerate(("brightness_v2", "brightness_v1")):
        view = views.View(
            32, color_strength=strength, additive_brightness=bool(additive)
        )
        sampled = view.sample(seeds(30000))
        sampled[brightness] = sampled["brightness"]
        for name in (brightness, "contrast", "saturation", "hue"):
            close_to(sampled[name], getattr(preprocess, f"{key}_{name}"))
            low, high = getattr(preprocess, f"{key}_{name}_bounds")
            assert np.min(sampled[name]) >= low - 1e-6
            assert np.max(sampled[name]) <= high + 1e-6


@pytest.mark.newest
def test_draws_do_not_hang_together(seeds):
    """Correlations of 20,000 draws: standard error 0.007."""
    sampled = views.View(64).sample(seeds(20000))
    columns = [
        np.asarray(v, np.float64).reshape(20000, -1)[:, 0]
        for v in sampled.values()
    ]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 0.035


def test_changing_one_probability_leaves_the_other_draws(seeds):
    base = views.View(64).sample(seeds(100))
    changed = views.View(
        64, flip_probability=0.0, jitter_probability=0.1, blur_sigma=(1, 2)
    ).sample(seeds(100))
    differing = {name for name in base if np.any(base[name] != changed[name])}
    assert differing == {"flip", "jitter", "sigma"}


def test_a_view_without_work_is_the_image(pictures, seeds):
    images = pictures(3, 32)
    ours = views.View(32, **NOTHING)(images, seeds(3))
    np.testing.assert_array_equal(ours, images / np.float32(255))


def test_whole_crops_and_sure_flips_mirror_the_image(pictures, seeds):
    images = pictures(3, 32)
    arguments = dict(
        NOTHING,
        crop=True,
        crop_area=(1.0, 1.0),
        crop_aspect=(1.0, 1.0),
        flip_probability=1.0,
    )
    ours = views.View(32, **arguments)(images, seeds(3))
    np.testing.assert_allclose(
        ours, images[:, :, ::-1] / np.float32(255), rtol=0, atol=1e-6
    )


def test_ready_crops_are_flipped_and_not_cropped(pictures, seeds):
    images = pictures(40, 32)
    view = views.View(32, color_strength=0.0, grayscale_probability=0.0)
    ours = view(images, seeds(40), ready=True)
    flip = np.asarray(view.sample(seeds(40))["flip"])
    assert 0 < flip.sum() < 40
    expected = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
    np.testing.assert_array_equal(ours, expected / np.float32(255))


def test_views_lie_in_the_unit_interval_at_any_strength(pictures, seeds):
    images = pictures(20, 48)
    ours = views.View((40, 56), color_strength=2.0)(images, seeds(20)).numpy()
    assert ours.shape == (20, 40, 56, 3) and ours.dtype == np.float32
    assert ours.min() == 0.0 and ours.max() == 1.0
    np.testing.assert_array_equal(ours, np.clip(ours, 0, 1))


def test_blur_is_off_for_small_images_unless_asked():
    assert views.View(32).blur_probability == 0.0
    assert views.View(33).blur_probability == 0.5
    assert views.View(32, blur_probability=0.3).blur_probability == 0.3


def test_appended_names_and_layers_come_last_and_in_order(pictures, seeds):
    images = pictures(4, 32)
    view = views.View(
        32, **NOTHING, append=("cutout", Darken(), "sobel", "noise")
    )
    ours = view(images, seeds(4))
    expected = tf.constant(images / np.float32(255))
    expected = 0.5 * ablations.cutout(expected, seeds(4))
    expected = tf.clip_by_value(ablations.sobel(expected), 0.0, 1.0)
    expected = ablations.noise(expected, seeds(4))
    np.testing.assert_allclose(
        ours, tf.clip_by_value(expected, 0.0, 1.0), rtol=0, atol=1e-6
    )
    again = views.View.from_config(view.get_config())
    assert again.get_config() == view.get_config()
    np.testing.assert_array_equal(again(images, seeds(4)), ours)


def test_config_round_trip_keeps_every_argument(pictures, seeds):
    arguments = dict(
        crop_area=(0.3, 0.9),
        crop_aspect=(0.9, 1.1),
        crop_sampler="torchvision",
        antialias=True,
        flip_probability=0.4,
        color_strength=0.7,
        jitter_probability=0.9,
        brightness=0.5,
        contrast=0.6,
        saturation=0.3,
        hue=0.1,
        additive_brightness=True,
        grayscale_probability=0.3,
        blur_probability=0.6,
        blur_sigma=(0.2, 1.5),
        append=["rotation"],
    )
    view = views.View(40, name="a", **arguments)
    config = view.get_config()
    assert {k: config[k] for k in arguments} == arguments
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(view)
    )
    assert again.get_config() == config
    images = pictures(3, 48)
    np.testing.assert_array_equal(
        again(images, seeds(3)), view(images, seeds(3))
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(image_size=32.0), "`image_size`.*Received: image_size=32.0"),
        (dict(crop="no"), "`crop`"),
        (dict(crop_area=(0.0, 1.0)), "`crop_area`"),
        (dict(crop_area=0.08), "`crop_area`"),
        (dict(crop_aspect=(1, 0.5)), "`crop_aspect`"),
        (dict(crop_sampler="tf"), "`crop_sampler`.*'official'"),
        (dict(antialias=3), "`antialias`"),
        (dict(flip_probability=1.5), "`flip_probability`.*Received.*1.5"),
        (dict(color_strength=-1), "`color_strength`"),
        (dict(color_strength="1"), "`color_strength`"),
        (dict(hue=0.3, color_strength=2), "`hue` times `color_strength`"),
        (dict(brightness=-0.1), "`brightness`"),
        (dict(jitter_probability=-0.1), "`jitter_probability`"),
        (dict(grayscale_probability=2), "`grayscale_probability`"),
        (dict(blur_probability=2), "`blur_probability`"),
        (dict(image_size=16, blur_probability=0.5), "lower than 20 pixels"),
        (dict(blur_sigma=(0.0, 1.0)), "`blur_sigma`"),
        (dict(append="cutout"), "`append` must be a sequence"),
        (dict(append=("mixup",)), "`append` takes.*'mixup'"),
        (dict(append=(3,)), "`append` takes"),
        (dict(image_size=(32, 40), append=("rotation",)), "square"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        views.View(**{"image_size": 32, **arguments})


def test_ready_crops_of_another_size_are_refused(pictures, seeds):
    with pytest.raises(ValueError, match=r"\[B, 32, 32, 3\].*40, 40"):
        views.View(32)(pictures(2, 40), seeds(2), ready=True)
