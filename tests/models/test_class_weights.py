"""Weights of classes in the loss of a classifier."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils import class_weight

import simclr_keras as sk

LABELS = np.array([0, 0, 0, 0, 0, 1, 2, 2])


def _images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (len(LABELS), 8, 8, 3), np.uint8)


def _loss(weights, labels, loss="sparse_categorical_crossentropy", **more):
    """Loss of one step; and that of each image, before it."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, strides=2)]
    )
    model = sk.Classifier(encoder, 3, class_weights=weights)
    model.head.kernel.assign(np.random.default_rng(1).normal(size=(4, 3)))
    model.compile("sgd", loss)
    outputs = model(_images()).numpy()
    each = -np.log(outputs[np.arange(len(LABELS)), LABELS])
    logs = model.fit(
        _images(), labels, batch_size=len(LABELS), verbose=0, **more
    ).history
    return logs["loss"][0], each


def test_balanced_weights_equal_scikit_learns():
    weights = sk.models.balanced_class_weights(LABELS, 3)
    expected = class_weight.compute_class_weight(
        "balanced", classes=np.arange(3), y=LABELS
    )
    np.testing.assert_allclose(weights, expected)
    with_absent = sk.models.balanced_class_weights(LABELS, 5)
    np.testing.assert_allclose(with_absent, [*expected, 1.0, 1.0])


@pytest.mark.newest
@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0.0, 1.0], [[0, 1]]])
def test_labels_of_other_classes_have_no_weights(labels):
    with pytest.raises(ValueError, match="from 0 to 2. Received"):
        sk.models.balanced_class_weights(labels, 3)


def test_the_loss_is_weighted_by_class():
    """By the mean over the batch; numbers, one-hot, and weights of images."""
    weights = sk.models.balanced_class_weights(LABELS, 3)
    plain, each = _loss(None, LABELS)
    assert plain == pytest.approx(each.mean(), rel=1e-5)
    expected = np.mean(each * np.take(weights, LABELS))
    assert abs(expected - plain) > 0.01
    assert _loss(weights, LABELS)[0] == pytest.approx(expected, rel=1e-5)
    one_hot = np.eye(3, dtype=np.float32)[LABELS]
    found = _loss(weights, one_hot, "categorical_crossentropy")[0]
    assert found == pytest.approx(expected, rel=1e-5)
    half = np.full(len(LABELS), 0.5, np.float32)
    found = _loss(weights, LABELS, sample_weight=half)[0]
    assert found == pytest.approx(expected / 2, rel=1e-5)


def test_survive_saving(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]
    )
    model = sk.Classifier(encoder, 2, class_weights=(1, 3))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.class_weights == [1.0, 3.0]
    tf.debugging.assert_near(loaded(_images()), model(_images()))


@pytest.mark.newest
@pytest.mark.parametrize(
    "weights, activation",
    [((1, 2), "softmax"), ((1, 0, 1), "softmax"), ((1, 1, 1), "sigmoid")],
)
def test_weights_that_do_not_fit_are_refused(weights, activation):
    encoder = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]
    )
    with pytest.raises(ValueError, match="class_weights must be 3 numbers"):
        sk.Classifier(encoder, 3, class_weights=weights, activation=activation)
