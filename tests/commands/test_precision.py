"""`--checkpoint` of a bfloat16 run, in the precision of the command."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import evaluation
from simclr_keras.commands.common import checkpoint
from simclr_keras.models import precision

IMAGES = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)


def _model(policy):
    return sk.SimCLR(
        sk.TinyResNet((4,), dtype=policy),
        sk.ProjectionHead(num_layers=2, out_dim=6, dtype=policy),
        sk.TwoViews(16, jit=False),
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "low.keras"
    low = _model("mixed_bfloat16")
    low.save(path)
    return path, low


def _dtypes(model):
    """What encoder, head and the head's first layer give, of float32 images."""
    h = model.encoder(IMAGES)
    z = model.projection_head(h)
    first = model.projection_head.layer_output(h, 1)
    return [tf.as_dtype(x.dtype).name for x in (h, z, first)]


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_head_and_encoder_compute_as_the_command_does(saved, name):
    """And give, in float32, the numbers of a model made in float32."""
    path, low = saved
    policy = name if name == "float32" else f"mixed_{name}"
    flags = types.SimpleNamespace(checkpoint=str(path))
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = checkpoint.pretrained(flags)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert _dtypes(model) == [name] * 3
    if name == "float32":
        full = _model("float32")
        full.set_weights(low.get_weights())
        z = evaluation.layer_features(model, "z")(IMAGES)
        np.testing.assert_allclose(z, full(IMAGES)["z"], rtol=1e-6, atol=1e-9)


def test_rebuilding_there_and_back():
    """Weights stay, the model that is given stays, views stay float32."""
    model = _model("float32")
    low = precision.rebuild(model, "mixed_bfloat16")
    assert precision.compute_dtypes(low)[0] == "bfloat16"
    assert low.views.compute_dtype == "float32"
    assert keras.mixed_precision.global_policy().name == "float32"
    again = precision.rebuild(low, "float32")
    for each in (model, again):
        assert precision.compute_dtypes(each) == ["float32"]
    for a, b in zip(again.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(a, b)
    fresh = precision.rebuild(model, "float32", weights=False)
    kernels = [m.encoder.get_weights()[0] for m in (fresh, model)]
    assert (kernels[0] != kernels[1]).any()


def test_layers_that_are_float32_on_purpose_stay_so():
    """Among a mixed model's layers of others."""

    def layers(policy):
        keras.mixed_precision.set_global_policy(policy)
        try:
            return keras.Sequential(
                [
                    keras.Input((16, 16, 3)),
                    keras.layers.Conv2D(2, 3, name="mixed"),
                    keras.layers.Flatten(dtype="float32", name="full"),
                ]
            )
        finally:
            keras.mixed_precision.set_global_policy("float32")

    low = layers("mixed_float16")
    other = precision.rebuild(low, "mixed_bfloat16")
    assert other.get_layer("mixed").compute_dtype == "bfloat16"
    assert other.get_layer("full").compute_dtype == "float32"
    full = precision.rebuild(low, "float32")
    assert full.get_layer("mixed").compute_dtype == "float32"


def test_what_has_no_configuration_is_said():
    class Own(keras.Model):
        def __init__(self, size):
            super().__init__()
            self.size = size

        def get_config(self):
            raise NotImplementedError("no configuration")

    with pytest.raises(ValueError, match="round trip .* no configuration"):
        precision.rebuild(Own(3), "float32")
