"""Regression on standardised targets, in the units of the user outside."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.models import target_scale

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
# 1000 + 50 * the mean of red, and something else
RED = IMAGES[..., 0].mean(axis=(1, 2)) / 255
TARGETS = np.stack([1000 + 50 * RED, -3 * RED], axis=1).astype(np.float32)
SCALE = {"target_mean": [1025.0, -1.5], "target_std": [4.0, 0.5]}


def _model(**arguments):
    images = keras.Input((None, None, 3))
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    keras.utils.set_random_seed(0)
    model = sk.Classifier(
        encoder, 2, freeze="all", activation="linear", **arguments
    )
    model.compile(keras.optimizers.Adam(0.05), "mse", metrics=["mae"])
    return model


def _batches():
    return tf.data.Dataset.from_tensor_slices((IMAGES, TARGETS)).batch(8)


def test_the_loss_is_of_standardised_targets_the_metrics_are_not():
    """By hand, from the outputs in units."""
    model = _model(**SCALE)
    predicted = model.predict(_batches(), verbose=0)
    measured = model.evaluate(_batches(), verbose=0, return_dict=True)
    errors = predicted - TARGETS
    expected = np.mean((errors / SCALE["target_std"]) ** 2)
    assert measured["loss"] == pytest.approx(expected, rel=1e-4)
    assert measured["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    # A head of zeros predicts the mean.
    model.head.set_weights([0 * w for w in model.head.get_weights()])
    predicted = model.predict(_batches(), verbose=0)
    np.testing.assert_allclose(predicted[0], SCALE["target_mean"])


def test_it_learns_what_it_could_not_without():
    """Adam moves a weight by 0.05 a step at most: 1000 is far away."""
    histories = {}
    for name, arguments in (("with", SCALE), ("without", {})):
        model = _model(**arguments)
        model.fit(_batches(), epochs=60, verbose=0)
        histories[name] = model.evaluate(_batches(), verbose=0)[1]
    assert histories["with"] < 2 < 100 < histories["without"]


def test_it_is_saved(tmp_path):
    model = _model(**SCALE)
    model.fit(_batches(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert list(loaded.target_mean) == SCALE["target_mean"]
    np.testing.assert_allclose(
        loaded.predict(_batches(), verbose=0),
        model.predict(_batches(), verbose=0),
    )


def test_one_number_per_image():
    """Labels `[B]`, and statistics as NumPy numbers."""
    images = keras.Input((None, None, 3))
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    scale = target_scale.measure(TARGETS[:, :1], ["red"])
    model = sk.Classifier(
        encoder,
        1,
        activation="linear",
        target_mean=np.array(scale.mean),
        target_std=np.array(scale.std),
    )
    model.compile("sgd", "mse")
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, TARGETS[:, 0]))
    history = model.fit(batches.batch(8), verbose=0).history
    assert 0 < history["loss"][0] < 5


@pytest.mark.newest
@pytest.mark.parametrize(
    "arguments",
    [
        {"target_mean": [0.0, 1.0]},
        {"target_mean": [0.0], "target_std": [1.0]},
        {"target_mean": [0.0, 1.0], "target_std": [1.0, 0.0]},
        {"target_mean": [0.0, float("nan")], "target_std": [1.0, 1.0]},
    ],
)
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="must be 2 numbers each"):
        _model(**arguments)


@pytest.mark.newest
def test_targets_without_a_scale():
    with pytest.raises(ValueError, match="a is 2 for all 3"):
        target_scale.measure(np.full([3, 1], 2.0), ["a"])
    years = np.array([[1e6], [1e6 + 1]])
    with pytest.raises(ValueError, match="subtract a constant"):
        target_scale.measure(years, ["time"])
