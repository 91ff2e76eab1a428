"""Random numbers: pure function, test vectors, statistical quality."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import randomness

pytestmark = pytest.mark.newest


def _u32(*words):
    return tuple(tf.constant(word, tf.uint32) for word in words)


@pytest.mark.parametrize(
    "key, counter, expected",
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        (
            (0xFFFFFFFF, 0xFFFFFFFF),
            (0xFFFFFFFF, 0xFFFFFFFF),
            (0x1CB996FC, 0xBB002BE7),
        ),
        (
            (0x13198A2E, 0x03707344),
            (0x243F6A88, 0x85A308D3),
            (0xC4923A9C, 0x483DF7A0),
        ),
    ],
)
def test_threefry_known_answers(key, counter, expected):
    """The known-answer vectors published with Random123."""
    words = randomness.threefry(_u32(*key), _u32(*counter))
    assert tuple(int(word) for word in words) == expected


def test_a_position_draws_the_same_however_the_batch_is_split():
    whole = randomness.stateless_seeds(5, 7, tf.range(10), view=1)
    part = randomness.stateless_seeds(5, 7, tf.range(6, 10), view=1)
    np.testing.assert_array_equal(whole[6:], part)
    np.testing.assert_array_equal(
        randomness.uniforms(whole, 5, stream=3)[6:],
        randomness.uniforms(part, 5, stream=3),
    )


@pytest.mark.parametrize(
    "other",
    [
        dict(seed=6),
        dict(seed=5 + 2**40),
        dict(seed=-5),
        dict(step=8),
        dict(view=0),
    ],
)
def test_every_argument_changes_every_seed(other):
    arguments = dict(seed=5, step=7, positions=tf.range(64), view=1)
    base = randomness.stateless_seeds(**arguments).numpy()
    changed = randomness.stateless_seeds(**{**arguments, **other}).numpy()
    assert (base != changed).any(axis=1).all()


def test_uniforms_are_uniform_and_uncorrelated():
    """Five standard errors around the moments of the uniform law."""
    seeds = randomness.stateless_seeds(0, 0, tf.range(20_000), view=0)
    u = randomness.uniforms(seeds, 6, stream=0).numpy().astype("float64")
    v = randomness.uniforms(seeds, 6, stream=1).numpy().astype("float64")
    error = 5 / np.sqrt(u.size)
    assert 0 <= u.min() and u.max() < 1
    assert abs(u.mean() - 0.5) < error * np.sqrt(1 / 12)
    assert abs(u.var() - 1 / 12) < error * np.sqrt(1 / 180)
    both = np.corrcoef(np.concatenate([u, v], axis=1).T)
    assert np.abs(both - np.eye(12)).max() < 5 / np.sqrt(20_000)


def test_normals_are_standard():
    seeds = randomness.stateless_seeds(0, 1, tf.range(20_000), view=0)
    x = randomness.normals(seeds, 3, stream=0).numpy().astype("float64")
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 5 / np.sqrt(x.size)
    assert abs(x.var() - 1) < 5 * np.sqrt(2 / x.size)


def test_compiled_and_plain_bits_agree():
    def draw(step):
        seeds = randomness.stateless_seeds(1, step, tf.range(8), view=0)
        return randomness.random_bits(seeds, 5, stream=2)

    compiled = tf.function(draw, jit_compile=True)
    np.testing.assert_array_equal(
        draw(tf.constant(3, tf.int64)), compiled(tf.constant(3, tf.int64))
    )


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint8])
def test_a_seed_of_numpy_is_a_number(kind):
    found = randomness.shuffled(9, kind(7), 0, randomness.FILES)
    expected = randomness.shuffled(9, 7, 0, randomness.FILES)
    np.testing.assert_array_equal(found, expected)
