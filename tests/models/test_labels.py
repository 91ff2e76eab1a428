"""Labels in `fit`: numbers, columns and one-hot rows train alike."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.models import batches

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 16, 16, 3), np.uint8)
NUMBERS = np.arange(12) % 3
ONE_HOT = np.eye(3, dtype=np.float32)[NUMBERS]


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS.astype(np.uint8),
        NUMBERS.astype(np.float32),
        NUMBERS[:, None],
        NUMBERS[:, None].astype(np.float64),
        ONE_HOT,
        ONE_HOT.astype(np.int32),
        ONE_HOT.astype(bool),
    ],
)
def test_every_form_gives_the_numbers(labels):
    found = batches.class_indices(labels, 3)
    assert found.shape == (12,) and found.dtype.is_integer
    np.testing.assert_array_equal(found, NUMBERS)


def test_labels_of_a_batch_without_a_probe_are_left_alone():
    images = tf.zeros([2, 8, 8, 3])
    batch = batches.unpack((images, tf.constant(["a", "b"])), None)
    assert batch.images is images


WRONG = [
    (np.zeros((12, 2), np.int64), r"one-hot \[B, 3\].*shape \(\d+, 2\)"),
    (np.array(["a"] * 12), r"Received: shape \(\d+,\), dtype string"),
    (np.zeros((12, 3, 1)), r"shape \(\d+, 3, 1\)"),
]


@pytest.mark.parametrize("labels, message", WRONG)
def test_other_shapes_are_refused_by_name(labels, message):
    with pytest.raises(
        ValueError, match=f"labels must be one class.*{message}"
    ):
        batches.class_indices(labels, 3)


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.ones((12, 3), np.float32), "labels must be one-hot"),
        (np.eye(3)[NUMBERS] / 2, "labels must be one-hot"),
        (np.eye(3)[NUMBERS] * [1, -1, 1], "labels must be one-hot"),
        (np.full((12, 3), 1 / 3, np.float32), "labels must be one-hot"),
        (np.full((12,), 0.5, np.float32), "labels must be whole numbers"),
        (np.full((12,), np.nan, np.float32), "labels must be whole numbers"),
    ],
)
def test_other_values_stop_the_step(labels, message):
    """Their argmax would be a class that nobody meant."""
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        batches.class_indices(labels, 3)


def test_under_xla_a_wrong_label_makes_the_loss_nan():
    """XLA has no errors; TensorFlow's loss of no class is NaN there."""

    @tf.function(jit_compile=True)
    def loss(labels):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(
            batches.class_indices(labels, 3), tf.zeros([2, 3])
        )

    assert not np.isnan(loss(tf.eye(2, 3))).any()
    assert np.isnan(loss(tf.constant([[0.0, 1, 0], [0, 1, 1]])))[1]


def _batches(labels):
    return tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(
        6, drop_remainder=True
    )


def _probe_losses(labels):
    keras.utils.set_random_seed(1)
    model = sk.SimCLR(
        sk.TinyResNet((4,)),
        sk.ProjectionHead(num_layers=2, out_dim=8),
        sk.TwoViews(16, jit=False),
        num_classes=3,
        micro_batch_size=3,
    )
    model.compile("sgd", run_eagerly=True)
    data = _batches(labels)
    history = model.fit(data, verbose=0).history
    return [*history["probe_loss"], *history["probe_accuracy"]]


@pytest.mark.newest
def test_the_probe_learns_alike_from_one_hot_rows():
    """By micro-batches, whose rows of the labels are gathered."""
    expected = _probe_losses(NUMBERS)
    assert 0.5 < expected[0] < 2  # log 3 is 1.1
    np.testing.assert_allclose(_probe_losses(ONE_HOT), expected, rtol=1e-6)


def _classifier(loss):
    keras.utils.set_random_seed(1)
    images = keras.Input((None, None, 3))
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    model = sk.Classifier(encoder, 3)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def _fitted(labels, loss):
    model = _classifier(loss)
    data = _batches(labels)
    history = model.fit(data, epochs=2, verbose=0).history
    measured = model.evaluate(data, verbose=0, return_dict=True)
    return [*history["loss"], *history["accuracy"], *measured.values()]


def test_a_classifier_learns_alike_from_every_form():
    """Keras's own loss of one-hot rows gives the same as that of numbers."""
    sparse = "sparse_categorical_crossentropy"
    expected = _fitted(NUMBERS, keras.losses.SparseCategoricalCrossentropy())
    for labels, loss in (
        (ONE_HOT, sparse),
        (NUMBERS[:, None], sparse),
        (ONE_HOT, "categorical_crossentropy"),
    ):
        np.testing.assert_allclose(_fitted(labels, loss), expected, rtol=1e-5)


def test_a_classifier_takes_arrays():
    model = _classifier("sparse_categorical_crossentropy")
    model.fit(IMAGES, ONE_HOT, batch_size=6, verbose=0)
    expected = model.evaluate(_batches(NUMBERS), verbose=0)
    found = model.evaluate(IMAGES, ONE_HOT, batch_size=6, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("labels, message", WRONG[:1])
def test_a_classifier_refuses_other_shapes(labels, message):
    model = _classifier("sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=message):
        model.fit(_batches(labels), verbose=0)
