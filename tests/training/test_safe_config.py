"""A model's file may name allowed classes only; other code never runs."""

import copy
import json
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras import training
from simclr_keras.training import checkpointing
from simclr_keras.training import safe_config


def _class(module, name):
    return {
        "module": module,
        "class_name": name,
        "config": {},
        "registered_name": None,
    }


def _function(module, name):
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }


BAD = {
    "class": _class("subprocess", "Popen"),
    "module": _class("antigravity", "anything"),
    "function": _function("os", "system"),
    "builtin": _function("builtins", "eval"),
    "keras function": _function("keras.utils", "get_file"),
    "as class": _class("keras.utils", "get_file"),
    "inside keras": _class("keras.src.utils.io_utils", "sys"),
    "graph": _class("keras.layers", "TFSMLayer"),
}


@pytest.fixture(scope="module")
def model():
    model = sk.SimCLR(
        sk.TinyResNet((4,)),
        sk.ProjectionHead(num_layers=1, out_dim=4),
        sk.TwoViews(16, jit=False),
    )
    model.compile(sk.LARS(sk.WarmupCosine(0.1, 2, 10)), sk.NTXent())
    return model


@pytest.fixture(scope="module")
def packed(model):
    return checkpointing.pack(model, {"step": 1})


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_other_modules_are_neither_imported_nor_used(packed, tmp_path, bad):
    """As a part of a checkpoint that is intact otherwise."""
    config = json.loads(packed["model.json"])
    config["config"]["views"]["config"]["branches"][0]["config"]["append"] = [
        {"class_name": "Wrapper", "config": {"layer": copy.deepcopy(bad)}}
    ]
    path = checkpointing.write(
        tmp_path, {**packed, "model.json": json.dumps(config)}
    )
    name = bad["class_name"]
    name = bad["config"] if name == "function" else name
    with pytest.raises(ValueError, match="registered before it") as caught:
        sk.load(path)
    assert f"{bad['module']}.{name}" in str(caught.value)
    assert str(path) in str(caught.value)
    assert "antigravity" not in sys.modules


def test_exports_and_keras_files_are_looked_at_too(model, tmp_path):
    path = sk.export(sk.TinyResNet((4,)), tmp_path / "export", image_size=16)
    config = path / "assets.extra" / "model.json"
    parts = json.loads(config.read_text())
    config.write_text(json.dumps({**parts, "evil": BAD["function"]}))
    with pytest.raises(ValueError, match="the function os.system"):
        sk.load(path)

    good, bad = tmp_path / "good.keras", tmp_path / "bad.keras"
    model.encoder.save(good)
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == "config.json":
                parts = {**json.loads(content), "evil": BAD["class"]}
                content = json.dumps(parts)
            new.writestr(member, content)
    assert sk.load(good).encoder.channels == (4,)
    with pytest.raises(ValueError, match="names subprocess.Popen"):
        sk.load(bad)
    # Keras 2.15 takes any other file for one of HDF5, with code in it.
    bad.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match="a zip archive"):
        sk.load(bad)


def test_what_keras_and_we_write_is_made(model):
    """A whole model with its optimizer and loss, and parts by name."""
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    made = safe_config.deserialize(config, "file")
    assert made.optimizer.get_config() == model.optimizer.get_config()
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, activation="relu")(inputs)
    x = keras.layers.Activation("gelu")(x)
    foreign = keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(x))
    parts = (
        foreign,
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 3)),
        keras.losses.BinaryCrossentropy(),
        keras.activations.relu,
        keras.losses.sparse_categorical_crossentropy,
    )
    for part in parts:
        config = keras.saving.serialize_keras_object(part)
        made = safe_config.deserialize(json.loads(json.dumps(config)), "file")
        assert type(made) is type(part)


class Scaled(keras.layers.Layer):
    def call(self, x):
        return 2.0 * x


def test_registered_classes_of_users_are_made(tmp_path):
    """In a scope, whose module is not imported; and not outside of it."""
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), Scaled()]).save(path)
    with keras.saving.custom_object_scope({"Scaled": Scaled}):
        made = training.load_model(path)
    np.testing.assert_array_equal(made(np.ones((1, 3))), [[2.0] * 3])
    with pytest.raises(ValueError, match=r"names \S*Scaled"):
        training.load_model(path)


@pytest.mark.skipif(compat.KERAS_3, reason="Keras 2.15 has these layers")
@pytest.mark.parametrize(
    "symbol, allowed",
    [
        ("math.add", True),
        ("__operators__.add", True),
        ("concat", True),
        ("io.write_file", False),
        ("raw_ops.WriteFile", False),
        ("load_library", False),
        ("keras.utils.get_file", False),
    ],
)
def test_operations_of_tensorflow(symbol, allowed):
    config = {
        "module": "keras.src.layers.core.tf_op_layer",
        "class_name": "TFOpLambda",
        "config": {"name": "f", "function": symbol},
        "registered_name": "TFOpLambda",
    }
    if allowed:
        safe_config.deserialize(config, "file")
    else:
        with pytest.raises(ValueError, match="names the operation"):
            safe_config.deserialize(config, "file")


def own_loss(z_a, z_b):
    return tf.reduce_mean(tf.square(z_a - z_b))


class OwnLoss(sk.NTXent):
    pass


@pytest.mark.parametrize("loss", [own_loss, OwnLoss()], ids=type)
def test_without_its_loss_a_model_computes_features(tmp_path, loss):
    """Of a checkpoint and of a file of Keras; compiled in a scope alone."""
    model = sk.SimCLR(
        sk.TinyResNet((4,)),
        sk.ProjectionHead(num_layers=1, out_dim=4),
        sk.TwoViews(16, jit=False),
    )
    model.compile(sk.LARS(0.1), loss)
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
    run = training.callbacks(tmp_path / "run")
    model.fit(images, batch_size=2, callbacks=run, verbose=0)
    model.save(tmp_path / "model.keras")
    name = getattr(loss, "__name__", type(loss).__name__)
    for path in (tmp_path / "run", tmp_path / "model.keras"):
        with pytest.warns(UserWarning, match=f"without its loss.*{name}"):
            loaded = sk.load(path).model
        assert getattr(loaded, "optimizer", None) is None
        np.testing.assert_array_equal(loaded.embed(images), model.embed(images))
        with keras.saving.custom_object_scope({name: globals()[name]}):
            loaded = sk.load(path).model
        assert loaded.optimizer.get_config() == model.optimizer.get_config()


def test_a_compiled_encoder_within_a_model_too(tmp_path):
    inputs = keras.Input((16, 16, 3))
    encoder = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    encoder.compile("sgd", own_loss)
    model = sk.SimCLR(encoder, views=sk.TwoViews(16, jit=False))
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
    h = model.embed(images)
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="own_loss"):
        loaded = sk.load(tmp_path / "model.keras").model
    np.testing.assert_array_equal(loaded.embed(images), h)
