"""The gradient of a kernel by one product per tap, and where it is chosen."""

import types

import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import processor
from simclr_keras.networks import kernel_gradient
from simclr_keras.networks import layers
from simclr_keras.networks.tiny_resnet import TinyResNet


def _choose(monkeypatch, value):
    """Chooses products or not; returns a list that gets the maps of each."""
    used, by_taps = [], kernel_gradient.by_taps

    def noting(padded, dy, *arguments):
        used.append(tuple(dy.shape[1:3]))
        return by_taps(padded, dy, *arguments)

    monkeypatch.setattr(kernel_gradient, "by_taps", noting)
    monkeypatch.setattr(kernel_gradient, "is_faster", lambda *_: value)
    return used


def _gradients(x, kernel, dy, stride):
    """Value and gradients of a layer with this kernel."""
    layer = layers.Conv2D(
        kernel.shape[-1], kernel.shape[:2], strides=stride, dtype=x.dtype.name
    )
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = layer.convolution_op(x, kernel)
    return [y, *tape.gradient(y, [x, kernel], output_gradients=dy)]


@pytest.mark.parametrize(
    "size, stride, side",
    [(3, 1, 4), (2, 1, 7), (3, 2, 8), (3, 2, 7), (7, 3, 8)],
)
def test_it_is_that_of_tensorflow(monkeypatch, size, stride, side):
    """In float64, eagerly and in a graph."""
    draw = np.random.default_rng(0).normal
    x = tf.constant(draw(size=(3, side, side + 1, 5)))
    kernel = tf.constant(draw(size=(size, size, 5, 4)))
    shape = (3, -(-side // stride), -(-(side + 1) // stride), 4)
    dy = tf.constant(draw(size=shape))
    _choose(monkeypatch, False)
    expected = _gradients(x, kernel, dy, stride)
    used = _choose(monkeypatch, True)
    for compute in (_gradients, tf.function(_gradients)):
        for ours, theirs in zip(compute(x, kernel, dy, stride), expected):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)
    assert used == 2 * [shape[1:3]]


@pytest.mark.parametrize("side", [4, 8])
def test_in_bfloat16_it_is_as_close_to_float32(monkeypatch, side):
    """As TensorFlow's own, or as one rounding to the 8 bits of bfloat16."""
    draw = np.random.default_rng(0).normal
    operands = [
        tf.cast(draw(size=shape), tf.bfloat16)
        for shape in ((32, side, side, 16), (3, 3, 16, 8), (32, side, side, 8))
    ]
    _choose(monkeypatch, False)
    exact = _gradients(*(tf.cast(v, tf.float32) for v in operands), 1)[2]
    errors = {}
    for by_taps in (True, False):
        _choose(monkeypatch, by_taps)
        narrow = tf.cast(_gradients(*operands, 1)[2], tf.float32)
        errors[by_taps] = np.abs(narrow - exact).max()
    bound = max(errors[False], 2**-8 * np.abs(exact).max())
    assert 0 < errors[True] <= bound


@pytest.mark.newest
def test_ten_steps_end_with_the_same_weights(monkeypatch):
    """Those of a network in float64 whose maps have 8 pixels and less."""
    draw = np.random.default_rng(0).normal
    images, target = draw(size=(4, 8, 8, 3)), draw(size=(4, 16))
    weights = {}
    for by_taps in (True, False):
        used = _choose(monkeypatch, by_taps)
        encoder = TinyResNet((8, 8, 16), dtype="float64")
        encoder(images)
        shapes = [w.shape for w in encoder.get_weights()]
        fixed = np.random.default_rng(1).normal
        encoder.set_weights([np.abs(fixed(size=s)) / 4 for s in shapes])
        encoder.compile("sgd", "mse")
        for _ in range(10):
            encoder.train_on_batch(images, target)
        weights[by_taps] = encoder.get_weights()
        assert bool(used) == by_taps
        assert all(np.isfinite(w).all() for w in weights[by_taps])
    for ours, theirs in zip(weights[True], weights[False]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "micro_batch_size", [pytest.param(None, marks=pytest.mark.newest), 2]
)
def test_a_training_in_bfloat16_uses_it(monkeypatch, micro_batch_size):
    """Shapes are known in the graph of a step, also of its micro-batches."""
    is_faster = kernel_gradient.is_faster
    used = _choose(monkeypatch, True)
    monkeypatch.setattr(kernel_gradient, "is_faster", is_faster)
    monkeypatch.setattr(kernel_gradient, "runs_on_amx", lambda: True)
    model = sk.SimCLR(
        TinyResNet((8, 8, 8), dtype="mixed_bfloat16"),
        sk.ProjectionHead("linear", out_dim=4),
        sk.TwoViews(image_size=16, seed=0),
        micro_batch_size=micro_batch_size,
    )
    model.compile("sgd", sk.NTXent())
    images = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)
    logs = model.train_on_batch(images, return_dict=True)
    assert np.isfinite(logs["loss"])
    assert (8, 8) in used and (4, 4) in used and (16, 16) not in used


@pytest.mark.parametrize(
    "shape, kernel, strides, dtype, is_faster",
    [
        ((None, 4, 4, 512), (3, 3, 512, 512), (1, 1), "bfloat16", True),
        ((None, 8, 8, 256), (3, 3, 256, 256), (1, 1), "bfloat16", True),
        ((None, 16, 16, 64), (3, 3, 64, 128), (2, 2), "bfloat16", True),
        ((None, 9, 8, 256), (3, 3, 256, 256), (1, 1), "bfloat16", False),
        ((None, 4, 4, 512), (1, 1, 512, 512), (1, 1), "bfloat16", False),
        ((None, 4, 4, 512), (3, 3, 256, 512), (1, 1), "bfloat16", False),
        ((None, None, 4, 512), (3, 3, 512, 512), (1, 1), "bfloat16", False),
        ((None, 4, 4, 512), (3, 3, 512, 512), (1, 1), "float32", False),
    ],
)
def test_where_it_is_chosen(
    monkeypatch, shape, kernel, strides, dtype, is_faster
):
    x = tf.TensorSpec(shape, dtype)
    kernel = tf.TensorSpec(kernel, dtype)
    for on_amx in (True, False):
        monkeypatch.setattr(kernel_gradient, "runs_on_amx", lambda v=on_amx: v)
        chosen = kernel_gradient.is_faster(x, kernel, strides)
        assert chosen == (is_faster and on_amx)


@pytest.mark.parametrize(
    "features, kinds, expected",
    [
        ({"avx512_bf16", "amx_bf16"}, ["CPU", "CPU"], True),
        ({"avx512_bf16", "amx_bf16"}, ["CPU", "GPU"], False),
        ({"avx512_bf16"}, ["CPU"], False),
    ],
)
def test_which_machines_have_amx(monkeypatch, features, kinds, expected):
    devices = [types.SimpleNamespace(device_type=kind) for kind in kinds]
    monkeypatch.setattr(processor, "features", lambda: features)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: devices)
    assert kernel_gradient.runs_on_amx() == expected
