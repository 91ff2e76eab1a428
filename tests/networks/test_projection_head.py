"""Projection head: its modes, its layers, saving, one step of training."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.networks import ProjectionHead
from simclr_keras.networks import TinyResNet

H = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")


def normalized(x):
    """Training-mode batch norm with scale 1 and offset 0."""
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def test_modes_by_their_definition():
    """parity/README.md, section 6, in NumPy, with the weights at start."""
    none = ProjectionHead("none")
    np.testing.assert_array_equal(none(H, training=True), H)
    assert none.weights == []

    linear = ProjectionHead("linear", out_dim=4)
    z = linear(H, training=True)
    kernel = linear.dense_layers[0].kernel.numpy()
    np.testing.assert_allclose(z, normalized(H @ kernel), atol=1e-4)
    assert len(linear.trainable_weights) == 2

    head = ProjectionHead("nonlinear", num_layers=2, out_dim=4, width=5)
    z = head(H, training=True)
    first, second = (dense.kernel.numpy() for dense in head.dense_layers)
    hidden = np.maximum(normalized(H @ first), 0)
    np.testing.assert_allclose(z, normalized(hidden @ second), atol=1e-4)
    # Kernel, gamma, beta; kernel, gamma.
    assert len(head.trainable_weights) == 5


@pytest.mark.parametrize(
    "arguments, widths",
    [
        ({"mode": "none"}, [6]),
        ({"mode": "linear", "out_dim": 3}, [6, 3]),
        ({"num_layers": 1, "out_dim": 3}, [6, 3]),
        ({"num_layers": 3, "out_dim": 3}, [6, 6, 6, 3]),
        ({"num_layers": 4, "out_dim": 3, "width": 9}, [6, 9, 9, 9, 3]),
    ],
)
def test_layer_outputs(arguments, widths, tmp_path):
    head = ProjectionHead(**arguments)
    hs = head.layer_outputs(H, training=False)
    assert [h.shape[-1] for h in hs] == widths
    assert head.depth == len(widths) - 1
    assert head.compute_output_shape((None, 6)) == (None, widths[-1])
    np.testing.assert_array_equal(head(H, training=False), hs[-1])
    for selector in range(-len(widths), len(widths)):
        np.testing.assert_array_equal(
            head.layer_output(H, selector, training=False), hs[selector]
        )
    for selector in (len(widths), -len(widths) - 1):
        with pytest.raises(ValueError, match=f"Received: selector {selector}"):
            head.layer_output(H, selector)


def test_layers_behind_the_selected_one_do_not_run():
    head = ProjectionHead(num_layers=2, out_dim=3)
    head.layer_output(H, 1, training=True)
    first, second = (
        np.any(norm.moving_mean.numpy()) for norm in head.norm_layers
    )
    assert (first, second) == (True, False)


def test_a_frozen_head_is_in_inference_mode():
    head = ProjectionHead(num_layers=2, out_dim=3)
    expected = head(H, training=False)
    head.trainable = False
    np.testing.assert_array_equal(head(H, training=True), expected)


@pytest.mark.parametrize("mode", ["none", "linear", "nonlinear"])
def test_a_training_step_lowers_a_loss_and_the_model_is_saved(mode, tmp_path):
    """A small step against the gradient decreases the loss."""
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(1).random((16, 16, 16, 3), "float32")
    inputs = keras.Input((16, 16, 3))
    head = ProjectionHead(mode, num_layers=2, out_dim=8, name="g")
    model = keras.Model(inputs, head(TinyResNet((4, 8))(inputs)))
    target = tf.random.stateless_normal([16, 8], (0, 0))

    def loss():
        return tf.reduce_mean((model(images, training=True) - target) ** 2)

    with tf.GradientTape() as tape:
        before = loss()
    optimizer = keras.optimizers.SGD(1e-3)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(before, variables), variables))
    assert loss() < before

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("g").get_config() == head.get_config()
    np.testing.assert_array_equal(
        loaded(images, training=False), model(images, training=False)
    )
    model.save_weights(tmp_path / "model.weights.h5")
    changed = model.get_weights()
    model.set_weights([0.5 * w for w in changed])
    model.load_weights(tmp_path / "model.weights.h5")
    for weight, expected in zip(model.get_weights(), changed):
        np.testing.assert_array_equal(weight, expected)


def test_mixed_precision_and_xla():
    head = ProjectionHead(num_layers=2, out_dim=4, dtype="mixed_bfloat16")
    z = tf.function(head, jit_compile=True)(H, training=True)
    assert z.dtype == tf.bfloat16
    assert {w.numpy().dtype.name for w in head.weights} == {"float32"}
    wide = ProjectionHead(num_layers=2, out_dim=4)
    wide.build(H.shape)
    wide.set_weights(head.get_weights())
    # Roundings of 8 bits, in two layers, of values up to 2 or so.
    np.testing.assert_allclose(
        tf.cast(z, tf.float32), wide(H, training=True), atol=0.1
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mode": "cubic"}, "`mode` must be one of none, .*: 'cubic'"),
        ({"num_layers": 0}, "`num_layers` must be .* Received: 0"),
        ({"out_dim": 1.5}, "`out_dim` must be .* Received: 1.5"),
        ({"width": 0}, "`width` must be .* Received: 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProjectionHead(**arguments)


def test_feature_maps_are_refused():
    with pytest.raises(ValueError, match=r"shape \[B, D\]"):
        ProjectionHead()(np.zeros((2, 4, 4, 3), "float32"))


def test_numpy_integers_are_integers():
    sizes = {"num_layers": 2, "out_dim": 4, "width": 6}
    head = ProjectionHead(**{k: np.int64(v) for k, v in sizes.items()})
    assert json.loads(json.dumps(head.get_config())).items() >= sizes.items()
    with pytest.raises(ValueError, match="`out_dim` must be .*: True"):
        ProjectionHead(out_dim=True)
