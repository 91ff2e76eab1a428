"""kNN against loops written from the definition, and a peer library."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.neighbors import KNeighborsClassifier

from simclr_keras import evaluation


@pytest.fixture(scope="module")
def blobs():
    """Overlapping clusters of 5 classes with the odd labels 1, 3, ..., 9."""
    rng = np.random.RandomState(0)
    centres = rng.randn(5, 6)
    columns = rng.randint(0, 5, 360)
    h = (centres[columns] + 1.3 * rng.randn(360, 6)).astype(np.float32)
    y = 2 * columns + 1
    return h[:300], y[:300], h[300:], y[300:]


def _class_votes(train_h, train_y, row, k, temperature):
    """Section 3.4 of Wu et al. (2018), one test row, in float64 loops."""
    similarity = []
    for other in train_h.astype(np.float64):
        norms = np.linalg.norm(other) * np.linalg.norm(row.astype(np.float64))
        similarity.append(np.dot(other, row) / norms)
    votes = {}
    for i in sorted(range(len(similarity)), key=lambda i: -similarity[i])[:k]:
        weight = np.exp(similarity[i] / temperature)
        votes[train_y[i]] = votes.get(train_y[i], 0.0) + weight
    return votes


@pytest.mark.newest
@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (7, 0.07), (50, 1.0)])
def test_predictions_and_accuracy_equal_the_loops(blobs, k, temperature):
    train_h, train_y, test_h, test_y = blobs
    votes = [
        _class_votes(train_h, train_y, row, k, temperature) for row in test_h
    ]
    ranked = [sorted(v, key=lambda c: -v[c]) for v in votes]
    found = evaluation.knn_predict(train_h, train_y, test_h, k, temperature)
    np.testing.assert_array_equal(found, [classes[0] for classes in ranked])
    for top_k in (1, 2):
        expected = np.mean([y in r[:top_k] for y, r in zip(test_y, ranked)])
        accuracy = evaluation.knn_accuracy(*blobs, k, temperature, top_k=top_k)
        # A label without any vote can still rank second of two classes.
        slack = np.mean([len(r) < top_k for r in ranked])
        assert expected <= accuracy <= expected + slack


@pytest.mark.newest
def test_predictions_equal_scikit_learn(blobs):
    train_h, train_y, test_h, _ = blobs
    peer = KNeighborsClassifier(
        n_neighbors=20,
        metric="cosine",
        algorithm="brute",
        weights=lambda distances: np.exp((1 - distances) / 0.1),
    ).fit(train_h, train_y)
    np.testing.assert_array_equal(
        evaluation.knn_predict(train_h, train_y, test_h, 20, 0.1),
        peer.predict(test_h),
    )


@pytest.mark.newest
def test_blocks_do_not_change_the_result(blobs):
    train_h, train_y, test_h, _ = blobs
    results = [
        evaluation.knn_predict(train_h, train_y, test_h, 20, block_size=size)
        for size in (1, 7, 60, None)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.newest
def test_a_small_temperature_is_the_nearest_neighbour(blobs):
    """exp(1 / 1e-4) would overflow; the limit is k = 1."""
    train_h, train_y, test_h, _ = blobs
    np.testing.assert_array_equal(
        evaluation.knn_predict(train_h, train_y, test_h, 300, 1e-4),
        evaluation.knn_predict(train_h, train_y, test_h, 1),
    )


@pytest.mark.newest
def test_scale_of_features_does_not_matter_and_zero_rows_do_no_harm(blobs):
    train_h, train_y, test_h, _ = blobs
    expected = evaluation.knn_predict(train_h, train_y, test_h, 20)
    scales = np.exp(np.random.RandomState(1).randn(300, 1))
    np.testing.assert_array_equal(
        evaluation.knn_predict(scales * train_h, train_y, 9 * test_h, 20),
        expected,
    )
    zeros = np.zeros_like(test_h)
    assert np.isin(evaluation.knn_predict(*blobs[:2], zeros, 20), train_y).all()


@pytest.mark.newest
def test_test_classes_without_training_rows_count_as_missed(blobs):
    train_h, train_y, test_h, test_y = blobs
    assert evaluation.knn_accuracy(train_h, train_y, test_h, test_y + 1, 9) == 0


@pytest.mark.newest
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"k": 301}, "k must be at most .* k=301, 300 rows"),
        ({"k": 0}, "k must"),
        ({"temperature": 0.0}, "temperature"),
        ({"block_size": 0}, "block_size"),
        ({"test_h": np.ones([4, 5])}, "as many columns"),
        ({"train_y": -np.ones(300, int)}, "0 or greater"),
        ({"train_y": np.ones(300)}, "integers"),
        ({"train_h": np.full([300, 6], np.nan)}, "finite"),
    ],
)
def test_wrong_arguments_are_named(blobs, change, text):
    names = ("train_h", "train_y", "test_h", "test_y")
    arguments = {**dict(zip(names, blobs)), "k": 20, **change}
    with pytest.raises(ValueError, match=text):
        evaluation.knn_accuracy(**arguments)


class Toy(keras.Model):
    """A model to fit that has an encoder, as `SimCLR`."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [
                keras.layers.Input([2, 2, 3]),
                keras.layers.Flatten(),
                keras.layers.Dense(4, kernel_initializer="ones"),
            ]
        )
        self.head = keras.layers.Dense(3)

    def call(self, images, training=False):
        return self.head(self.encoder(images, training=training))


class _Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(logs.get("knn_accuracy"))


def _fit(epochs, before=(), **arguments):
    rng = np.random.RandomState(0)
    images = rng.rand(24, 2, 2, 3).astype(np.float32)
    labels = rng.randint(0, 3, 24)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(7)
    model, recorder = Toy(), _Recorder()
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    arguments = {"k": 5, **arguments}
    callback = evaluation.KNNCallback(dataset, dataset.take(2), **arguments)
    history = model.fit(
        dataset,
        epochs=epochs,
        verbose=0,
        callbacks=[*before, callback, recorder],
    )
    train_h, _ = evaluation.extract(model.encoder, dataset)
    expected = evaluation.knn_accuracy(
        train_h, labels, train_h[:14], labels[:14], 5
    )
    step = int(model.optimizer.iterations)
    assert callback.measured == (step, recorder.seen[-1])
    return history.history, recorder.seen, expected


def test_callback_adds_to_the_logs_that_later_callbacks_see():
    history, seen, expected = _fit(epochs=2)
    assert history["knn_accuracy"] == seen
    assert seen[-1] == expected


def test_callback_measures_every_few_epochs_and_at_the_last():
    _, seen, _ = _fit(epochs=5, every=2)
    assert [value is None for value in seen] == [1, 0, 1, 0, 0]


class _Stops(keras.callbacks.Callback):
    """Stops the training after an epoch, as `EarlyStopping` does."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1


def test_callback_measures_where_an_earlier_one_stops_the_training():
    _, seen, _ = _fit(epochs=9, before=[_Stops()], every=4)
    assert len(seen) == 2 and seen[0] is None and seen[1] is not None


def test_callback_refuses_before_training():
    with pytest.raises(ValueError, match="k must be at most"):
        _fit(epochs=1, k=50)
    with pytest.raises(ValueError, match="every"):
        _fit(epochs=1, every=0)
    images = tf.data.Dataset.from_tensors(np.zeros([1, 2, 2, 3]))
    with pytest.raises(ValueError, match="train_dataset.*labels"):
        evaluation.KNNCallback(images, images)
    plain = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
    plain.compile("sgd", "mse")
    labelled = images.map(lambda x: (x, tf.zeros([1], tf.int32)))
    with pytest.raises(ValueError, match="encoder"):
        plain.fit(
            np.zeros([2, 2]),
            np.zeros([2, 1]),
            verbose=0,
            callbacks=[evaluation.KNNCallback(labelled, labelled, k=1)],
        )
