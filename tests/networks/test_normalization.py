"""BatchNormalization against its formulas, written in NumPy float64."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.networks import BatchNormalization

EPSILON = 1e-5
# Of the largest value: a few roundings in each compute dtype.
OUTPUT_TOLERANCE = {
    "float64": 1e-12,
    "float32": 1e-5,
    "mixed_bfloat16": 2.0**-7,
    "mixed_float16": 2.0**-10,
}


def expected_forward(x, gamma, beta):
    """Normalised rows, mean and biased variance, from the definition."""
    rows = x.reshape(-1, x.shape[-1])
    mean = rows.mean(0)
    variance = ((rows - mean) ** 2).mean(0)
    normalized = (x - mean) / np.sqrt(variance + EPSILON)
    return gamma * normalized + beta, normalized, mean, variance


def expected_gradients(x, gamma, beta, dy):
    """Ioffe and Szegedy's chain rule (section 3), in its usual short form."""
    _, normalized, _, variance = expected_forward(x, gamma, beta)
    axes = tuple(range(x.ndim - 1))
    dgamma = (dy * normalized).sum(axes)
    dbeta = dy.sum(axes)
    n = x.size // x.shape[-1]
    dx = (gamma / np.sqrt(variance + EPSILON)) * (
        dy - dbeta / n - normalized * dgamma / n
    )
    return dx, dgamma, dbeta


def layer_and_data(policy, shape, seed=0, mean=0.3):
    rng = np.random.default_rng(seed)
    layer = BatchNormalization(dtype=policy)
    layer.build((None,) * (len(shape) - 1) + shape[-1:])
    x = tf.cast(rng.normal(mean, 1.5, shape), layer.compute_dtype)
    gamma = rng.uniform(0.5, 1.5, shape[-1])
    beta = rng.normal(size=shape[-1])
    layer.gamma.assign(tf.cast(gamma, layer.variable_dtype))
    layer.beta.assign(tf.cast(beta, layer.variable_dtype))
    return layer, x, gamma, beta


def in_float64(x):
    return tf.cast(x, tf.float64).numpy()


# XLA has one way for all shapes: a float of 32 and one of 16 bits show it.
COMPILED = [
    ("float32", (3, 5, 4, 8), True),
    ("mixed_bfloat16", (3, 5, 4, 8), True),
]


def _every(policies, *shapes):
    return list(itertools.product(policies, shapes, [False]))


@pytest.mark.parametrize(
    "policy, shape, jit",
    _every(OUTPUT_TOLERANCE, (6, 4), (3, 5, 4, 8), (2, 3, 4, 5, 6)) + COMPILED,
)
def test_training_mode_equals_the_formula(policy, shape, jit):
    layer, x, gamma, beta = layer_and_data(policy, shape)

    def forward(t):
        return layer(t, training=True)

    y = tf.function(forward, jit_compile=True)(x) if jit else forward(x)
    x = in_float64(x)
    expected, _, mean, variance = expected_forward(x, gamma, beta)
    assert y.dtype == layer.compute_dtype
    tolerance = OUTPUT_TOLERANCE[policy]
    np.testing.assert_allclose(
        in_float64(y), expected, atol=tolerance * np.abs(expected).max()
    )
    # Statistics keep the weights' dtype: float32 under mixed precision. The
    # variance is the biased one: 6 rows would show n / (n - 1) at once.
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.1 * mean, **close)
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), 0.9 + 0.1 * variance, **close
    )


@pytest.mark.parametrize(
    "policy, shape, jit",
    _every(["float32", "float64", "mixed_bfloat16"], (6, 4), (3, 5, 4, 8))
    + COMPILED,
)
def test_gradients_equal_the_formula(policy, shape, jit):
    layer, x, gamma, beta = layer_and_data(policy, shape)
    dy = tf.cast(
        np.random.default_rng(1).normal(size=shape), layer.compute_dtype
    )

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        # .value: Keras 3 wraps the variables that the tape knows.
        sources = [getattr(v, "_value", v) for v in (layer.gamma, layer.beta)]
        return tape.gradient(y, [x, *sources], output_gradients=dy)

    if jit:
        gradients = tf.function(gradients, jit_compile=True, autograph=False)
    expected = expected_gradients(in_float64(x), gamma, beta, in_float64(dy))
    tolerance = OUTPUT_TOLERANCE[policy]
    for mine, theirs in zip(gradients(x), expected):
        np.testing.assert_allclose(
            in_float64(mine), theirs, atol=4 * tolerance * np.abs(theirs).max()
        )


@pytest.mark.parametrize("policy", ["float32", "float64", "mixed_bfloat16"])
def test_inference_mode_uses_moving_statistics_and_keeps_them(policy):
    layer, x, gamma, beta = layer_and_data(policy, (4, 3, 3, 5))
    mean, variance = np.linspace(-1, 1, 5), np.linspace(0.5, 2, 5)
    layer.moving_mean.assign(tf.cast(mean, layer.variable_dtype))
    layer.moving_variance.assign(tf.cast(variance, layer.variable_dtype))
    before = [w.numpy() for w in layer.weights]
    expected = gamma * (in_float64(x) - mean) / np.sqrt(variance + EPSILON)
    tolerance = 2 * OUTPUT_TOLERANCE[policy] * np.abs(expected + beta).max()
    for_inference = layer(x, training=False)
    np.testing.assert_allclose(
        in_float64(for_inference), expected + beta, atol=tolerance
    )
    layer.trainable = False
    frozen = layer(x, training=True)
    np.testing.assert_array_equal(in_float64(frozen), in_float64(for_inference))
    for weight, old in zip(layer.weights, before):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_a_large_mean_does_not_spoil_the_variance():
    """E[x^2] - E[x]^2 in float32 would be off by 1e8 * 2^-24, about 6.

    The mean of n = 1024 numbers around 1e4 is good to sqrt(n) * 2^-24 * 1e4,
    as n roundings of a sum add up: 0.019. So far the outputs are moved, times
    gamma over the deviation.
    """
    layer, x, gamma, beta = layer_and_data("float32", (64, 4, 4, 3), mean=1e4)
    y = layer(x, training=True)
    expected, _, _, variance = expected_forward(in_float64(x), gamma, beta)
    slope = np.abs(gamma) / np.sqrt(variance)
    moved = np.sqrt(64 * 4 * 4) * 2**-24 * 1e4 * slope
    assert (np.abs(y - expected) < moved).all()
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), 0.9 + 0.1 * variance, rtol=1e-4
    )


@pytest.mark.parametrize("policy", ["float32", "float64"])
def test_one_row_and_no_row(policy):
    """One row has variance 0; no rows leave the statistics unchanged."""
    layer = BatchNormalization(dtype=policy)
    y = layer(tf.constant([[3.0, -2.0]], policy), training=True)
    np.testing.assert_allclose(y, [[0.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(
        layer.moving_mean.numpy(), [0.3, -0.2], rtol=1e-6
    )
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), [0.9, 0.9], rtol=1e-6
    )
    layer(tf.zeros([0, 2], policy), training=True)
    np.testing.assert_allclose(
        layer.moving_mean.numpy(), [0.3, -0.2], rtol=1e-6
    )
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), [0.9, 0.9], rtol=1e-6
    )


def test_fit_updates_the_moving_statistics():
    """Two steps by hand: m <- 0.9 m + 0.1 batch, from 0 and from 1."""
    x = np.random.default_rng(2).normal(2, 3, (16, 5)).astype("float32")
    layer = BatchNormalization()
    model = keras.Sequential([layer])
    model.compile("sgd", "mse")
    model.fit(x, np.zeros_like(x), batch_size=8, shuffle=False, verbose=0)
    mean, variance = np.zeros(5), np.ones(5)
    for batch in (x[:8], x[8:]):
        mean = 0.9 * mean + 0.1 * batch.mean(0)
        variance = 0.9 * variance + 0.1 * batch.var(0)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), variance, rtol=1e-5
    )


def test_switches_and_configuration():
    layer = BatchNormalization(
        momentum=0.5,
        epsilon=1e-3,
        center=False,
        gamma_initializer="zeros",
        name="last",
    )
    copy = BatchNormalization.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    copy.build((None, 3))
    assert [tuple(w.shape) for w in copy.weights] == [(3,)] * 3
    np.testing.assert_array_equal(copy.gamma.numpy(), np.zeros(3))
    plain = BatchNormalization(center=False, scale=False)
    y = plain(tf.constant([[0.0], [2.0]]), training=True)
    np.testing.assert_allclose(y, [[-1.0], [1.0]], atol=1e-4)
    assert len(plain.trainable_weights) == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"momentum": 1.1}, "`momentum` must lie in .0, 1.. Received: 1.1"),
        ({"epsilon": 0.0}, "`epsilon` must be positive. Received: 0.0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchNormalization(**arguments)


def test_unknown_channels_are_refused():
    with pytest.raises(ValueError, match="known last dimension"):
        BatchNormalization().build((None, None))
