"""Classifiers of one class, of several labels at once, and of numbers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk

# Each image has bright red or not, bright blue or not, or both or neither.
LABELS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 4, np.float32)
IMAGES = np.full((16, 16, 16, 3), 40, np.uint8)
IMAGES[..., 0] += (160 * LABELS[:, 0]).astype(np.uint8)[:, None, None]
IMAGES[..., 2] += (160 * LABELS[:, 1]).astype(np.uint8)[:, None, None]


def _batches(labels):
    return tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(8)


def _encoder():
    """Mean colours, so that a linear layer on top can tell everything."""
    images = keras.Input((None, None, 3))
    return keras.Model(
        images, keras.layers.GlobalAveragePooling2D()(images), name="colors"
    )


def _model(activation, loss, outputs=2, metrics=None, rate=0.5):
    keras.utils.set_random_seed(0)
    model = sk.Classifier(
        _encoder(), outputs, freeze="all", activation=activation, image_size=16
    )
    model.compile(keras.optimizers.Adam(rate), loss, metrics=metrics)
    return model


def test_several_labels_at_once():
    """A softmax would reach at most 3 of 4 rows: it cannot say both or none."""
    model = _model("sigmoid", "binary_crossentropy", metrics=["accuracy"])
    data = _batches(LABELS)
    model.fit(data, epochs=40, verbose=0)
    predicted = model.predict(data, verbose=0)
    np.testing.assert_array_equal(predicted > 0.5, LABELS > 0.5)
    measured = model.evaluate(data, verbose=0, return_dict=True)
    assert measured["accuracy"] == 1.0


def test_accuracy_of_several_labels_is_that_of_each():
    """By hand: of untrained zeros, all below 1/2, half of the labels."""
    model = _model("sigmoid", "binary_crossentropy", metrics=["accuracy"])
    model.set_weights([0 * w - (w.ndim == 1) for w in model.get_weights()])
    measured = model.evaluate(_batches(LABELS), verbose=0, return_dict=True)
    assert measured["accuracy"] == pytest.approx(0.5)
    # The mean of log(1 + e^-1) for 0 and log(1 + e) for 1.
    expected = (np.log1p(np.exp(-1)) + np.log1p(np.exp(1))) / 2
    assert measured["loss"] == pytest.approx(expected, rel=1e-5)


def test_one_label_that_is_there_or_not():
    model = _model("sigmoid", "binary_crossentropy", outputs=1)
    data = _batches(LABELS[:, 0])
    model.fit(data, epochs=40, verbose=0)
    predicted = model.predict(data, verbose=0)
    np.testing.assert_array_equal(predicted[:, 0] > 0.5, LABELS[:, 0] > 0.5)


def test_regression():
    """2 red - 3, which no probability is."""
    model = _model(None, "mse", outputs=1, metrics=["mae"], rate=0.1)
    data = _batches(2 * LABELS[:, 0] - 3)
    model.fit(data, epochs=150, verbose=0)
    predicted = model.predict(data, verbose=0)[:, 0]
    np.testing.assert_allclose(predicted, 2 * LABELS[:, 0] - 3, atol=0.05)
    assert model.get_config()["activation"] == "linear"


@pytest.mark.parametrize(
    "activation, loss, needed",
    [
        ("softmax", "binary_crossentropy", "sigmoid"),
        ("softmax", keras.losses.BinaryCrossentropy(), "sigmoid"),
        ("softmax", keras.losses.binary_crossentropy, "sigmoid"),
        ("softmax", "mse", "linear"),
        ("softmax", keras.losses.Huber(), "linear"),
        ("sigmoid", "sparse_categorical_crossentropy", "softmax"),
        ("sigmoid", "categorical_crossentropy", "softmax"),
        ("linear", "binary_crossentropy", "sigmoid"),
        ("linear", keras.losses.CategoricalCrossentropy(), "softmax"),
    ],
)
def test_a_loss_that_means_something_else_is_refused(activation, loss, needed):
    model = _model(activation, loss)
    message = (
        f"must fit .* activation='{needed}'. Received: loss=.*{activation}"
    )
    with pytest.raises(ValueError, match=message):
        model.fit(_batches(LABELS), verbose=0)


class _OfAUser(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.reduce_mean((tf.nn.softmax(y_pred) - y_true) ** 2, axis=-1)

    def get_config(self):
        return {**super().get_config(), "from_logits": True}


@pytest.mark.parametrize(
    "activation, loss",
    [
        ("softmax", keras.losses.CategoricalFocalCrossentropy),
        ("softmax", keras.losses.SparseCategoricalCrossentropy),
        ("softmax", keras.losses.CategoricalCrossentropy),
        ("sigmoid", keras.losses.BinaryFocalCrossentropy),
        ("sigmoid", keras.losses.BinaryCrossentropy),
        ("softmax", _OfAUser),
    ],
)
def test_a_loss_of_logits_is_refused_for_probabilities(activation, loss):
    """The focal ones would take the softmax of a softmax."""
    made = loss() if loss is _OfAUser else loss(from_logits=True)
    message = f"leave out from_logits. Received: {loss.__name__}"
    with pytest.raises(ValueError, match=message):
        _model(activation, made).fit(_batches(LABELS), verbose=0)


def test_the_focal_loss_is_that_of_the_probabilities():
    """By hand: alpha (1 - p)^gamma times the cross-entropy -log p."""
    loss = keras.losses.CategoricalFocalCrossentropy(alpha=0.25, gamma=2.0)
    model, one_hot = _model("softmax", loss, rate=0.0), np.eye(2)[[0, 1] * 8]
    p = (model(IMAGES).numpy() * one_hot).sum(axis=1)
    history = model.fit(IMAGES, one_hot, batch_size=16, verbose=0).history
    expected = np.mean(-0.25 * (1 - p) ** 2 * np.log(p))
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_logits_take_numbers_of_classes():
    """What one check lets through, the step must take."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = _model("linear", loss)
    classes = np.arange(len(LABELS)) % LABELS.shape[1]
    history = model.fit(_batches(classes), verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(
    "activation, loss",
    [
        ("linear", keras.losses.BinaryCrossentropy(from_logits=True)),
        ("sigmoid", "mse"),
        ("softmax", lambda y_true, y_pred: tf.reduce_mean(y_pred**2)),
    ],
)
def test_other_losses_are_the_users_to_choose(activation, loss):
    history = _model(activation, loss).fit(_batches(LABELS), verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(
    "activation, labels", [("sigmoid", LABELS[:, 0]), ("linear", LABELS[:, :1])]
)
def test_labels_are_not_spread_over_the_outputs(activation, labels):
    """Squared errors of [B, 1] and [B, 2] would be computed by broadcast."""
    model = _model(activation, "mse")
    with pytest.raises(ValueError, match=r"shape \[B, 2\].*Received: shape"):
        model.fit(_batches(labels), verbose=0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(activation="relu"), "softmax, sigmoid, linear. Received: .*relu"),
        (dict(num_classes=1), "at least 2. Received: num_classes=1"),
        (dict(num_classes=0, activation="sigmoid"), "at least 1. Received"),
        (dict(num_classes=2.0), "must be an integer"),
        (dict(l2=float("nan")), "l2 must be .*Received: l2=nan"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        sk.Classifier(_encoder(), **{"num_classes": 2, **arguments})


def test_numbers_have_no_accuracy():
    with pytest.raises(ValueError, match="must be errors, such as 'mae'"):
        _model("linear", "mse", metrics=["accuracy"])


@pytest.mark.parametrize(
    "activation, loss", [("sigmoid", "binary_crossentropy"), ("linear", "mse")]
)
def test_saves_and_loads(tmp_path, activation, loss):
    metrics = ["accuracy"] if activation == "sigmoid" else None
    model = _model(activation, loss, metrics=metrics)
    model.fit(_batches(LABELS), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.activation == activation
    data = _batches(LABELS)
    np.testing.assert_allclose(
        loaded.predict(data, verbose=0), model.predict(data, verbose=0)
    )
    np.testing.assert_allclose(
        loaded.evaluate(data, verbose=0), model.evaluate(data, verbose=0)
    )


def test_a_model_saved_before_there_was_a_choice_is_a_softmax():
    config = _model("softmax", "categorical_crossentropy").get_config()
    del config["activation"]
    assert sk.Classifier.from_config(config).activation == "softmax"


def _served(model, path, **arguments):
    path = sk.export(model, path, **arguments)
    signatures = tf.saved_model.load(str(path)).signatures
    outputs = signatures["serving_default"](tf.constant(IMAGES))
    card = json.loads((path / "model_card.json").read_text())
    return {k: v.numpy() for k, v in outputs.items()}, signatures, card


def test_export_of_several_labels(tmp_path):
    model = _model("sigmoid", "binary_crossentropy")
    model.fit(_batches(LABELS), epochs=5, verbose=0)
    outputs, signatures, card = _served(
        model, tmp_path / "export", class_names=["red", "blue"]
    )
    expected = 1 / (1 + np.exp(-outputs["logits"]))
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
    predicted = model.predict(_batches(LABELS), verbose=0)
    np.testing.assert_allclose(outputs["probabilities"], predicted, atol=1e-5)
    assert "classify" in signatures and card["class_names"] == ["red", "blue"]


def test_export_of_numbers(tmp_path):
    model = _model("linear", "mse")
    outputs, signatures, card = _served(model, tmp_path / "export")
    assert set(outputs) == {"embedding", "predictions"}
    predicted = model.predict(_batches(LABELS), verbose=0)
    np.testing.assert_allclose(outputs["predictions"], predicted, atol=1e-5)
    assert "classify" not in signatures and card["class_names"] is None
    assert sk.load(tmp_path / "export").model.activation == "linear"
    with pytest.raises(ValueError, match="must be left out"):
        sk.export(model, tmp_path / "named", class_names=["a", "b"])
