"""The other optimizers: their first steps by hand, decay, saving."""

import json
import pathlib
import sys

import forked
import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.optimizers import LARS
from simclr_keras.optimizers import OPTIMIZERS
from simclr_keras.optimizers import WarmupCosine
from simclr_keras.optimizers import create_optimizer
from simclr_keras.optimizers import decay_in_loss
from simclr_keras.optimizers import split_weight_decay

LOAD_AND_FIT = pathlib.Path(__file__).with_name("load_and_fit.py")


def needs(name):
    if name == "lamb" and not compat.KERAS_3:
        pytest.importorskip("tensorflow_addons")


def layer():
    """Kernel of fours [1, 4] (norm 8), bias of ones."""
    dense = keras.layers.Dense(
        4,
        kernel_initializer=keras.initializers.Constant(4.0),
        bias_initializer="ones",
    )
    dense.build([None, 1])
    return dense


def changes(optimizer, gradient):
    """What one step with a constant gradient does to kernel and bias."""
    dense = layer()
    variables = dense.trainable_variables
    optimizer.apply_gradients(
        [(tf.fill(v.shape, gradient), v) for v in variables]
    )
    kernel, bias = dense.get_weights()
    return kernel[0] - 4, bias - 1


@pytest.mark.parametrize(
    "name, step",
    [
        # lr x eeta |p| / |g| x g for the kernel, lr g for the bias.
        ("lars", (0.1 * 0.001 * (8 / 4) * 2, 0.1 * 2)),
        ("momentum", (0.1 * 2, 0.1 * 2)),
        # The first step of Adam is lr x sign(g), whatever the betas.
        ("adam", (0.1, 0.1)),
        ("adamw", (0.1, 0.1)),
        # The same times |p| / |sign(g)|: 8 / 2 and 2 / 2.
        ("lamb", (0.4, 0.1)),
    ],
)
def test_first_step_is_worked_by_hand(name, step):
    needs(name)
    optimizer = create_optimizer(name, 0.1, beta_1=0.8, beta_2=0.95)
    kernel, bias = changes(optimizer, 2.0)
    # 4 - 4e-4 in float32 is a multiple of 2.4e-7.
    np.testing.assert_allclose(kernel, np.full(4, -step[0]), 1e-4, 2.5e-7)
    np.testing.assert_allclose(bias, np.full(4, -step[1]), 1e-4, 2.5e-7)


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_decay_reaches_kernels_only(name):
    """Without a gradient nothing but decay acts: lr x decay x 4 = 0.02. LAMB
    of tensorflow-addons makes it a step of its trust ratio, lr |p| / |d p| d p
    = lr p = 0.4."""
    needs(name)
    optimizer = create_optimizer(name, 0.1, weight_decay=0.05)
    kernel, bias = changes(optimizer, 0.0)
    paper = name == "lamb" and not compat.KERAS_3
    np.testing.assert_allclose(kernel, -0.4 if paper else -0.02, rtol=1e-4)
    np.testing.assert_array_equal(bias, np.zeros(4))


def test_momentum_carries_on():
    """Two steps of 0.1 with gradient 1: 0.1, then 0.1 + 0.5 x 0.1; Nesterov
    looks ahead: 0.15 and 0.175."""
    for nesterov, expected in ((False, 0.25), (True, 0.325)):
        variable = tf.Variable([1.0])
        optimizer = create_optimizer(
            "momentum", 0.1, momentum=0.5, nesterov=nesterov
        )
        for _ in range(2):
            optimizer.apply_gradients([(tf.constant([1.0]), variable)])
        np.testing.assert_allclose(1 - variable, [expected], rtol=1e-5)


def test_lars_gets_its_arguments():
    config = create_optimizer(
        "lars", 1, weight_decay=1e-4, momentum=0.7, nesterov=True
    ).get_config()
    assert config["learning_rate"] == 1
    assert config["momentum"] == 0.7
    assert config["weight_decay"] == 1e-4
    assert config["nesterov"] is True
    assert isinstance(create_optimizer("lars", 0.1), LARS)


def trained_model(name):
    model = keras.Sequential([keras.Input([1]), layer(), keras.layers.Dense(1)])
    model.set_weights([np.ones_like(w) for w in model.get_weights()])
    inside = decay_in_loss(name) != "all"
    optimizer = create_optimizer(
        name, WarmupCosine(0.1, 1, 9), weight_decay=0.05 if inside else 0.0
    )
    model.compile(optimizer=optimizer, loss="mse", jit_compile=False)
    return model


def fit(model):
    x = np.arange(8, dtype=np.float32)[:, None] / 8
    model.fit(x, 3 * x, batch_size=4, shuffle=False, verbose=0)


def test_loads_in_a_fresh_process_and_continues(tmp_path):
    """As if never stopped, with its own decay: the class, not Keras's. Keras
    2.15 leaves the state of tensorflow-addons' optimizers out of the file."""
    needs("lamb")
    expected = {}
    for name in ("adamw", "lamb"):
        model = trained_model(name)
        fit(model)
        path = str(tmp_path / f"{name}.keras")
        model.save(path)
        fit(model)
        expected[path] = model.get_weights()[0]
    process = forked.Process(LOAD_AND_FIT, expected, tmp_path / "log")
    assert process.wait() == 0, process.text()[-3000:]
    # tensorflow-addons says beside it that it is at its end of life.
    lines = process.text().splitlines()
    assert [x for x in lines if x.startswith("simclr_keras.")] == [
        "simclr_keras.optimizers.adamw AdamW",
        "simclr_keras.optimizers.lamb Lamb",
    ]
    for path, weights in expected.items():
        if "adamw" in path or compat.KERAS_3:
            np.testing.assert_array_equal(np.load(path + ".npy"), weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_checkpoint_continues_as_if_never_stopped(name, tmp_path):
    needs(name)
    model = trained_model(name)
    fit(model)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(
        str(tmp_path / "half")
    )
    fit(model)
    again = trained_model(name)
    fit(again)  # whatever it learned is overwritten
    fit(again)
    tf.train.Checkpoint(model=again, optimizer=again.optimizer).read(
        path
    ).assert_existing_objects_matched()
    fit(again)
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_says_where_decay_belongs():
    assert {name: decay_in_loss(name) for name in OPTIMIZERS} == {
        "lars": "heads",
        "momentum": "all",
        "adam": "all",
        "adamw": "none",
        "lamb": "none",
    }
    for name in ("momentum", "adam"):
        with pytest.raises(ValueError, match="(?s)l2_penalty.*Received"):
            create_optimizer(name, 0.1, weight_decay=1e-4)


def test_refuses_senseless_arguments():
    with pytest.raises(ValueError, match="'lars', 'mom.*Received: 'sgd'"):
        create_optimizer("sgd", 0.1)
    with pytest.raises(ValueError, match="weight_decay.*Received"):
        create_optimizer("adamw", 0.1, weight_decay=-1)


def test_lamb_names_the_extra_that_it_needs(monkeypatch):
    monkeypatch.setattr(compat.optimizers, "KERAS_3", False)
    monkeypatch.setitem(sys.modules, "tensorflow_addons.optimizers", None)
    with pytest.raises(ImportError, match=r"'\.\[tf215\]'"):
        compat.lamb_bases()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("lars", (1e-6, 1e-6, "heads")),
        ("momentum", (0.0, 1e-6, "all")),
        ("adamw", (1e-6, 0.0, "none")),
    ],
)
def test_a_decay_belongs_to_the_update_the_loss_or_both(name, parts):
    """LARS leaves the supervised head to the loss, as in the official code."""
    assert split_weight_decay(name, 1e-6) == parts


@pytest.mark.newest
@pytest.mark.parametrize(
    "name, decay", [("lars", 0.5), ("momentum", 0), ("adam", 0), ("adamw", 0.5)]
)
def test_numbers_of_numpy_are_numbers(name, decay):
    optimizer = create_optimizer(
        name,
        np.float32(0.25),
        momentum=np.float32(0.5),
        weight_decay=np.float32(decay),
    )
    saved = keras.saving.serialize_keras_object(optimizer)
    config = json.loads(json.dumps(saved))["config"]
    assert config["learning_rate"] == 0.25
    assert (config["weight_decay"] or 0) == decay
