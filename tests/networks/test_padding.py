"""The padded convolution against padding by a layer of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.networks import layers


@pytest.mark.parametrize("size, side", [(3, 8), (3, 7), (7, 9), (2, 6)])
def test_padding_is_that_of_padded_images(size, side):
    """Value and gradients in float64, for odd and even sizes."""
    draw = np.random.default_rng(0).normal
    x = tf.constant(draw(size=(2, side, side + 1, 3)))
    layer = layers.Conv2D(4, size, strides=2, use_bias=False, dtype="float64")
    y = layer(x)
    weights = tf.constant(draw(size=y.shape))
    kernel = tf.convert_to_tensor(layer.kernel)
    before = (size - 1) // 2
    zeros = [before, size - 1 - before]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, kernel])
        padded = tf.pad(x, [[0, 0], zeros, zeros, [0, 0]])
        expected = tf.nn.conv2d(padded, kernel, 2, "VALID")
        both = [tf.reduce_sum(weights * v) for v in (layer(x), expected)]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    assert layer.compute_output_shape(x.shape) == tuple(expected.shape)
    for of_layer, of_pad in (
        (x, x),
        (layer.trainable_variables[0], kernel),
    ):
        np.testing.assert_allclose(
            tape.gradient(both[0], of_layer),
            tape.gradient(both[1], of_pad),
            rtol=1e-12,
            atol=1e-13,
        )


def test_configuration():
    layer = layers.Conv2D(4, 3, strides=2, name="padded")
    twin = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(twin) is layers.Conv2D
    assert twin.get_config() == layer.get_config()
    inputs = keras.Input((None, None, 3))
    assert layer(inputs).shape[1:] == (None, None, 4)


def test_weights_of_the_stock_layer_load(tmp_path):
    """Networks in older files have a padding layer and Keras's Conv2D."""
    draw = np.random.default_rng(0).normal
    images = keras.Input((8, 8, 3))
    x = keras.layers.ZeroPadding2D(1)(images)
    x = keras.layers.Conv2D(4, 3, strides=2)(x)
    stock = keras.Model(images, keras.layers.Conv2D(2, 3, padding="same")(x))
    stock.save_weights(tmp_path / "stock.weights.h5")
    x = layers.Conv2D(4, 3, strides=2)(images)
    ours = keras.Model(images, layers.Conv2D(2, 3)(x))
    ours.load_weights(tmp_path / "stock.weights.h5")
    photos = draw(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(ours(photos), stock(photos), atol=1e-6)
