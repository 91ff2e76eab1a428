"""TwoViews is a pure function, compiled or not, on any replica."""

import json
import pathlib

import forked
import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import views

# Compiled and plain arithmetic differ in the order of sums of 16 products,
# 1e-6; four colour operations may enlarge that by up to 1.8 each.
JIT_ATOL = 1e-5


@keras.saving.register_keras_serializable("tests")
class Invert(keras.layers.Layer):
    """A branch that is not a `View`."""

    def call(self, images, training=False):
        return 1.0 - images if training else images


@pytest.fixture(scope="module")
def plain():
    """Views of 32 pixels whose work is not compiled: quick to start."""
    return views.TwoViews(32, seed=5, jit=False)


@pytest.fixture(scope="module")
def compiled():
    return views.TwoViews(32, seed=5, jit=True)


def test_views_differ_from_each_other_and_from_step_to_step(plain, pictures):
    images = pictures(4, 40)
    drawn = [
        *plain(images, 0),
        *plain(images, 1),
        *plain(images, 0, first_view=2),
        *views.TwoViews(32, seed=6, jit=False)(images, 0),
    ]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert (np.abs(one - other).max(axis=(1, 2, 3)) > 0.01).all()


def test_a_batch_may_be_split_anyhow(plain, pictures):
    """The same numbers on one replica or two, and after a restart."""
    images = pictures(40, 40)  # worked on by 5 views, 2 and 4 at a time
    whole = plain(images, 3)
    again = views.TwoViews(32, seed=5, jit=False)
    parts = [
        again(images[part], 3, positions=tf.range(40)[part])
        for part in (slice(0, 15), slice(15, 40))
    ]
    for view in (0, 1):
        together = np.concatenate([part[view] for part in parts])
        # Work on other shapes may round otherwise.
        np.testing.assert_allclose(together, whole[view], rtol=0, atol=JIT_ATOL)


@pytest.mark.newest
@pytest.mark.long
def test_compiled_views_are_the_same(plain, compiled, pictures):
    """Those in a graph, which are compiled too, are in the short run."""
    images = pictures(6, 40)
    for ours, expected in zip(compiled(images, 9), plain(images, 9)):
        assert ours.dtype == tf.float32
        np.testing.assert_allclose(ours, expected, rtol=0, atol=JIT_ATOL)


@pytest.mark.parametrize(
    "xla",
    [
        False,
        pytest.param(True, marks=[pytest.mark.long, pytest.mark.newest]),
    ],
)
def test_inside_training_steps(plain, compiled, pictures, xla):
    """In a graph of unknown batch and image size, or inside XLA."""
    images = pictures(6, 40)
    expected = plain(images, 2)
    signature = [
        tf.TensorSpec([None, None, None, 3], tf.uint8),
        tf.TensorSpec([], tf.int64),
    ]
    step = tf.function(
        lambda images, step: compiled(images, step),
        input_signature=None if xla else signature,
        jit_compile=xla or None,
    )
    drawn = step(tf.constant(images), tf.constant(2, tf.int64))
    for ours, view in zip(drawn, expected):
        assert ours.shape[1:] == (32, 32, 3)
        assert ours.dtype == tf.float32
        np.testing.assert_allclose(ours, view, rtol=0, atol=JIT_ATOL)


def test_mixed_precision_does_not_touch_the_views(plain, pictures):
    images = pictures(3, 32) / np.float32(255)
    expected = plain(images, 4)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        drawn = views.TwoViews(32, seed=5, jit=False)(images, 4)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for ours, view in zip(drawn, expected):
        assert ours.dtype == tf.float32
        np.testing.assert_array_equal(ours, view)


def test_ready_views_go_to_their_branches(pictures):
    """By hand: each branch flips those of its crops that it drew a flip for."""
    ready = np.stack([pictures(20, 32), pictures(20, 32, seed=1)], axis=1)
    layer = views.TwoViews(
        32, color_strength=0.0, grayscale_probability=0.0, jit=False
    )
    for i, drawn in enumerate(layer(ready, 0)):
        mine = ready[:, i] / np.float32(255)
        equal = (drawn == mine).numpy().all(axis=(1, 2, 3))
        mirrored = (drawn == mine[:, :, ::-1]).numpy().all(axis=(1, 2, 3))
        assert (equal ^ mirrored).all()
        assert 0 < equal.sum() < 20


def test_the_second_view_may_have_arguments_of_its_own(pictures):
    images = pictures(30, 48)
    layer = views.TwoViews(
        40,
        blur=False,
        grayscale_probability=0.0,
        second=dict(grayscale_probability=1.0, blur_probability=0.1),
        jit=False,
    )
    gray = [
        np.ptp(view.numpy(), axis=-1).max(axis=(1, 2)) == 0
        for view in layer(images, 0)
    ]
    assert not gray[0].any() and gray[1].all()
    assert layer.first.blur_probability == 0.0
    assert layer.second.blur_probability == 0.1
    # What the branches share, they draw as two equal branches would.
    same = views.TwoViews(40, blur=False, grayscale_probability=0.0, jit=False)
    np.testing.assert_allclose(
        layer(images, 0)[0], same(images, 0)[0], rtol=0, atol=JIT_ATOL
    )


def test_config_round_trip(pictures):
    layer = views.TwoViews(
        (24, 32),
        color_strength=0.5,
        seed=2**40 + 1,
        jit=False,
        second=dict(append=("noise", Invert())),
        crop_area=(0.2, 1.0),
        name="views",
    )
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert again.name == "views"
    assert again.get_config() == layer.get_config()
    images = pictures(3, 40)
    for one, other in zip(layer(images, 1), again(images, 1)):
        np.testing.assert_array_equal(one, other)


def test_branches_of_other_layers_get_whole_float_images(pictures):
    """One branch is a `View`, the other a model of Keras layers."""
    model = keras.Sequential([keras.layers.Resizing(24, 24), Invert()])
    ours = views.View(24)
    images = pictures(4, 48)
    layer = views.TwoViews(24, branches=(ours, model), seed=3, jit=False)
    view_a, view_b = layer(images, 0)
    alone = views.TwoViews(24, seed=3, jit=False)(images, 0)[0]
    np.testing.assert_allclose(view_a, alone, rtol=0, atol=JIT_ATOL)
    expected = 1.0 - tf.image.resize(images / np.float32(255), [24, 24])
    np.testing.assert_allclose(view_b, expected, rtol=0, atol=1e-6)
    again = views.TwoViews.from_config(layer.get_config())
    np.testing.assert_array_equal(again(images, 0)[1], view_b)


@pytest.mark.newest
def test_keras_cv_layers_stand_in_or_are_appended(pictures):
    keras_cv = pytest.importorskip("keras_cv")
    crop = keras_cv.layers.RandomCropAndResize(
        target_size=(24, 24),
        crop_area_factor=(0.3, 1.0),
        aspect_ratio_factor=(3 / 4, 4 / 3),
    )
    appended = views.View(
        24, append=(keras_cv.layers.RandomCutout(0.4, 0.4, fill_value=1.0),)
    )
    layer = views.TwoViews(24, branches=(crop, appended))
    step = tf.function(lambda images: layer(images, 0))
    for view in step(tf.constant(pictures(4, 40))):
        assert view.shape == (4, 24, 24, 3) and view.dtype == tf.float32
        assert 0.0 <= np.min(view) and np.max(view) <= 1.0
        assert np.std(view) > 0.01
    again = views.TwoViews.from_config(layer.get_config())
    assert type(again.first) is type(crop)
    assert type(again.second.append[0]) is keras_cv.layers.RandomCutout


@pytest.mark.newest
@pytest.mark.parametrize(
    "arguments",
    [
        {"jit": False},
        # Of what is random only flips and greys, which XLA compiles at once.
        {"jit": True, "crop": False, "color_strength": 0.0},
        pytest.param({"jit": True}, marks=pytest.mark.long),
    ],
    ids=["plain", "compiled without crops", "compiled"],
)
def test_two_replicas_draw_what_one_draws(tmp_path, arguments):
    """MirroredStrategy over two logical CPUs, in a process of its own."""
    script = pathlib.Path(__file__).with_name("on_replicas.py")
    arguments = json.dumps({"seed": 1, **arguments})
    process = forked.Process(script, [arguments], tmp_path / "log")
    assert process.wait() == 0, process.text()
    assert "replicas agree" in process.text()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(image_size=-1), "`image_size`"),
        (dict(seed=0.5), "`seed` must be an integer"),
        (dict(jit="xla"), "`jit` must be one of 'auto', True, False"),
        (dict(blur="yes"), "`blur`"),
        (dict(blur=True, blur_probability=0.1), "`blur_probability`"),
        (dict(second=0.5), "`second` must be a dictionary"),
        (dict(second=dict(image_size=16)), "`second`"),
        (dict(second=dict(hue=3)), "`hue`"),
        (dict(branches=(Invert(),)), "`branches` must be two"),
        (dict(branches=(Invert(), "cutout")), "`branches` must be two"),
        (dict(branches=(Invert(), Invert()), hue=0.1), "`branches` replaces"),
        (dict(branches=(Invert(), views.View(16))), "views of `image_size`"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        views.TwoViews(**{"image_size": 32, **arguments})


@pytest.mark.parametrize("shape", [(2, 32, 32), (2, 3, 32, 32, 3)])
def test_wrong_images_are_named(plain, shape):
    with pytest.raises(ValueError, match=r"\[B, 2, H, W, C\]"):
        plain(tf.zeros(shape), 0)


def test_branches_of_other_layers_must_make_views_of_the_size(pictures):
    layer = views.TwoViews(32, branches=(Invert(), Invert()))
    with pytest.raises(ValueError, match=r"\[B, 32, 32, 3\].*40, 40"):
        layer(pictures(2, 40), 0)


def test_numpy_integers_are_integers(pictures):
    ours, theirs = (
        views.TwoViews(number(16), seed=number(2**40 + 3))
        for number in (int, np.int64)
    )
    assert json.dumps(theirs.get_config()["seed"]) == str(2**40 + 3)
    images = pictures(2, 20)
    for mine, yours in zip(ours(images, 0), theirs(images, np.int64(0))):
        np.testing.assert_array_equal(mine, yours)
