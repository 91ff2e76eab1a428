"""Colour operations equal the official ones, in any order."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.views import color

pytestmark = pytest.mark.newest
# Two or three float32 operations on numbers of size 1.
ATOL = 1e-6


def _planes(images):
    return tf.unstack(tf.convert_to_tensor(images), axis=-1)


def _cases(preprocess, name):
    """Pairs of input and official output of one operation."""
    keys = (n[len("color_in") :] for n in vars(preprocess) if "color_in" in n)
    pairs = [
        (getattr(preprocess, f"color_in{k}"), f"{name}_in{k}") for k in keys
    ]
    # The small copy of the file has not every operation on every input.
    pairs = [
        (image, getattr(preprocess, output))
        for image, output in pairs
        if hasattr(preprocess, output)
    ]
    assert pairs
    return pairs


def _apply(name, planes, factors):
    no, yes = tf.fill([len(factors)], False), tf.fill([len(factors)], True)
    return {
        "brightness_v2": lambda: color.adjust_brightness(planes, factors),
        "brightness_v1": lambda: color.adjust_brightness(
            planes, factors, additive=True
        ),
        "contrast": lambda: color.adjust_contrast(planes, factors),
        "saturation": lambda: color.adjust_hsv(planes, factors, no),
        "hue": lambda: color.adjust_hsv(planes, factors, yes),
    }[name]()


@pytest.mark.parametrize(
    "name",
    ["brightness_v2", "brightness_v1", "contrast", "saturation", "hue"],
)
def test_operations_equal_the_official_ones(preprocess, name):
    """preprocess.npz; some inputs leave [0, 1] on purpose."""
    factors = tf.constant(preprocess.info["color_factors"][name], tf.float32)
    for image, expected in _cases(preprocess, name):
        batch = _planes(np.stack([image] * len(factors)))
        ours = tf.stack(_apply(name, batch, factors), axis=-1)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=ATOL)


def test_grayscale_equals_the_official_one(preprocess):
    """preprocess.npz."""
    for image, expected in _cases(preprocess, "grayscale"):
        ours = tf.stack(color.grayscale(_planes(image[None])), axis=-1)
        np.testing.assert_allclose(ours[0], expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize(
    "jit", [False, pytest.param(True, marks=pytest.mark.long)]
)
def test_jitter_equals_the_official_one_in_every_order(preprocess, jit):
    """preprocess.npz: all cases of one kind as one batch.

    Four operations may each enlarge the rounding of the ones before by up to
    1.8: 1e-6 * 1.8^3 is below 6e-6.
    """
    jitter = (
        tf.function(color.jitter, jit_compile=True) if jit else color.jitter
    )
    names = "brightness", "contrast", "saturation", "hue"
    for additive, impl in enumerate(("simclrv2", "simclrv1")):
        cases = [c for c in preprocess.info["jitter"] if c["impl"] == impl]
        images = np.stack([getattr(preprocess, c["input"]) for c in cases])
        ranks = np.argsort([c["order"] for c in cases], axis=1)
        factors = ([c[name] for c in cases] for name in names)
        ours = jitter(
            _planes(images),
            tf.constant(ranks, tf.int32),
            *(tf.constant(f, tf.float32) for f in factors),
            additive=bool(additive),
        )
        expected = np.stack([getattr(preprocess, c["key"]) for c in cases])
        np.testing.assert_allclose(
            tf.stack(ours, axis=-1), expected, rtol=0, atol=6e-6
        )
        gray = tf.stack(color.grayscale(ours), axis=-1)
        for case, image in zip(cases, gray):
            if case["grayscale_key"]:
                expected = getattr(preprocess, case["grayscale_key"])
                np.testing.assert_allclose(image, expected, atol=6e-6, rtol=0)


@pytest.mark.parametrize(
    "missing", [c for n in (1, 3) for c in itertools.combinations(range(4), n)]
)
def test_operations_that_are_left_out_change_nothing(missing):
    """Leaving an operation out equals its neutral factor."""
    random = np.random.RandomState(0)
    planes = _planes(random.rand(24, 8, 8, 3).astype(np.float32))
    ranks = tf.constant(list(itertools.permutations(range(4))))
    factors = [tf.constant(random.uniform(0.5, 1.5, 24), tf.float32)] * 3
    factors.append(tf.constant(random.uniform(-0.2, 0.2, 24), tf.float32))
    neutral = [
        tf.fill([24], 1.0 if i < 3 else 0.0) if i in missing else f
        for i, f in enumerate(factors)
    ]
    absent = [None if i in missing else f for i, f in enumerate(factors)]
    np.testing.assert_allclose(
        color.jitter(planes, ranks, *absent),
        color.jitter(planes, ranks, *neutral),
        rtol=0,
        atol=6e-6,
    )


def test_orders_are_uniform_over_all_24(preprocess, seeds):
    """Chi-squared of 24,000 draws over 24 orders.

    23 degrees of freedom: below 60 with probability 0.99997. The fixture's
    own draws are held to the same.
    """
    u = np.random.RandomState(5).rand(24000).astype(np.float32)
    ranks = color.random_order(u).numpy()
    orders = np.argsort(ranks, axis=1) @ [1000, 100, 10, 1]
    codes, counts = np.unique(orders, return_counts=True)
    np.testing.assert_array_equal(codes, preprocess.order_codes)
    for observed in (counts, preprocess.order_counts):
        assert ((observed - 1000.0) ** 2 / 1000.0).sum() < 60
    assert color.random_order(tf.constant([1.0 - 2.0**-24])).shape == (1, 4)


def test_factors_end_at_zero():
    u = tf.constant([0.0, 0.5, 0.75])
    np.testing.assert_allclose(color.random_factors(u, 0.8), [0.2, 1.0, 1.4])
    np.testing.assert_allclose(color.random_factors(u, 1.6), [0.0, 1.3, 1.95])
    np.testing.assert_allclose(
        color.random_factors(u, 0.8, centre=0.0), [-0.8, 0.0, 0.4], atol=1e-7
    )
    assert color.random_factors(u, 0.0) is None
