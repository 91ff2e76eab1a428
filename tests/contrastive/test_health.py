"""Representation health against NumPy and hand-worked cases."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.contrastive import representation_health

pytestmark = pytest.mark.newest


def by_hand(z_a, z_b):
    """The four definitions, from the papers, in float64."""
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (z_a, z_b))
    rows = np.concatenate([a, b])
    n = len(a)
    singular = np.linalg.svd(rows, compute_uv=False)
    shares = singular[singular > 1e-12] / singular.sum()
    return {
        "z_std": rows.std(axis=0).mean(),
        "alignment": np.mean([np.sum((x - y) ** 2) for x, y in zip(a, b)]),
        "uniformity": np.mean(
            [
                np.log(
                    np.mean(
                        [
                            np.exp(-2 * np.sum((v[i] - v[j]) ** 2))
                            for i in range(n)
                            for j in range(i)
                        ]
                    )
                )
                for v in (a, b)
            ]
        ),
        "effective_rank": np.exp(-np.sum(shares * np.log(shares))),
    }


@pytest.mark.parametrize(
    "shape, jit_compile",
    [
        ((12, 5), None),
        ((3, 20), None),
        ((3, 20), True),
        pytest.param((12, 5), False, marks=pytest.mark.long),
        pytest.param((3, 20), False, marks=pytest.mark.long),
        pytest.param((12, 5), True, marks=pytest.mark.long),
    ],
)
def test_equals_the_definitions(shape, jit_compile):
    """Float32 input against float64 loops; 20 dimensions of 6 rows leave
    singular values of zero, which must not count."""
    rng = np.random.default_rng(0)
    z_a = rng.normal(size=shape).astype(np.float32) + 1
    z_b = z_a + rng.normal(size=shape).astype(np.float32)
    function = representation_health
    if jit_compile is not None:
        function = tf.function(function, jit_compile=jit_compile)
    health = function(tf.constant(z_a), tf.constant(z_b))
    expected = by_hand(z_a.astype(np.float64), z_b.astype(np.float64))
    assert health.keys() == expected.keys()
    for name, value in health.items():
        assert value.dtype == tf.float32 and value.shape == ()
        np.testing.assert_allclose(
            value, expected[name], rtol=1e-5, err_msg=name
        )


@pytest.mark.parametrize(
    "known, jit_compile",
    [
        (True, None),
        (False, False),
        pytest.param(True, False, marks=pytest.mark.long),
        pytest.param(True, True, marks=pytest.mark.long),
        pytest.param(False, True, marks=pytest.mark.long),
    ],
)
def test_in_blocks_of_rows(tiles, jit_compile, known):
    """37 rows in blocks of 16, in float64; the result is a float32."""
    tiles(8 * 37 * 16)
    z_a, z_b = np.random.default_rng(2).normal(size=(2, 37, 5)) + 0.5
    function = representation_health
    if jit_compile is not None:
        spec = tf.TensorSpec([37 if known else None, 5], tf.float64)
        function = tf.function(
            function, input_signature=[spec, spec], jit_compile=jit_compile
        )
    health = function(z_a, z_b)
    for name, value in by_hand(z_a, z_b).items():
        np.testing.assert_allclose(health[name], value, rtol=1e-6)


def test_orthogonal_rows_are_worked_by_hand():
    """Four unit axes in each view, all distances 2: rank 4, alignment 0,
    uniformity -4; each column has one 1 in 4 rows."""
    rows = tf.eye(4)
    health = representation_health(rows, 5 * rows)
    np.testing.assert_allclose(health["effective_rank"], 4, rtol=1e-6)
    np.testing.assert_allclose(health["alignment"], 0, atol=1e-6)
    np.testing.assert_allclose(health["uniformity"], -4, rtol=1e-6)
    np.testing.assert_allclose(health["z_std"], np.sqrt(3) / 4, rtol=1e-6)


def test_gaussian_rows_reach_the_ideal_spread():
    """1 / sqrt(d) within the error of 2 x 2000 samples, some 1 %."""
    z_a, z_b = np.random.default_rng(1).normal(size=(2, 2000, 64))
    np.testing.assert_allclose(
        representation_health(z_a, z_b)["z_std"], 1 / 8, rtol=0.01
    )


@pytest.mark.parametrize("value", [1.0, -3e-3, 1e4])
def test_collapse_shows(value):
    """All rows equal; a mean over 16 rows in float32 leaves some 1e-8."""
    health = representation_health(*tf.fill([2, 8, 32], value))
    np.testing.assert_allclose(health["z_std"], 0, atol=1e-6)
    np.testing.assert_allclose(health["alignment"], 0, atol=1e-6)
    np.testing.assert_allclose(health["uniformity"], 0, atol=1e-5)
    np.testing.assert_allclose(health["effective_rank"], 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (1, 3)])
def test_zero_rows_and_a_single_image_stay_finite(shape):
    for z in (tf.zeros(shape), tf.ones(shape)):
        health = representation_health(z, z)
        assert np.isfinite(list(health.values())).all()


def test_has_no_gradient():
    z = tf.random.stateless_normal([4, 3], [0, 1])
    with tf.GradientTape() as tape:
        tape.watch(z)
        total = tf.add_n(list(representation_health(z, z).values()))
    assert tape.gradient(total, z) is None


def test_no_number_in_gives_no_number_out():
    """A diverged run must end by its loss, not inside the eigenvalue solver."""
    z = tf.fill((4, 3), np.float32("nan"))
    health = representation_health(z, z)
    assert np.isnan(health["effective_rank"])
