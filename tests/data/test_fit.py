"""Keras's `fit` on both stacks draws the epochs that it counts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import data


class SetEpoch(keras.callbacks.Callback):
    """What a model does whose `fit` knows of the pipeline's epochs."""

    def __init__(self, dataset):
        super().__init__()
        self.dataset = dataset

    def on_epoch_begin(self, epoch, logs=None):
        self.dataset.seek(epoch)


class Recorder(keras.Model):
    """Notes the labels that it is trained on."""

    def __init__(self):
        super().__init__()
        self.weight = keras.layers.Dense(1)
        self.seen = []

    def call(self, images):
        images = tf.cast(images, tf.float32)
        return self.weight(tf.reshape(images, [-1, 12]))

    def train_step(self, batch):
        images, labels = batch
        self(images, training=True)
        tf.py_function(
            lambda x: self.seen.append(x.numpy().tolist()), [labels], []
        )
        return {"loss": tf.reduce_mean(tf.cast(labels, tf.float32))}


def pairs(count=20, seed=0, **options):
    images = np.zeros((count, 2, 2, 3), np.uint8)
    return data.load(
        (images, np.arange(count)),
        batch_size=4,
        labelled=True,
        seed=seed,
        **options,
    )


def drawn(dataset, epochs):
    dataset.seek(epochs[0])
    return [y.numpy().tolist() for _ in epochs for _, y in dataset]


def fit(dataset, epochs, initial_epoch=0):
    model = Recorder()
    model.compile(optimizer="sgd", run_eagerly=False)
    model.fit(
        dataset.as_dataset(),
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[SetEpoch(dataset)],
        verbose=0,
    )
    return model.seen


def test_fit_draws_the_epochs_of_its_numbers():
    assert fit(pairs(), 3) == drawn(pairs(), [0, 1, 2])


def test_fit_resumed_at_an_epoch():
    whole = fit(pairs(), 4)
    assert fit(pairs(), 4, initial_epoch=2) == whole[10:]


def test_fit_resumed_at_a_step():
    """The rest of an epoch as a run of its own, then the epochs after it."""
    whole = fit(pairs(), 3)
    dataset = pairs()
    rest = fit(data.from_step(dataset, 3), 2, initial_epoch=1)
    assert rest + fit(dataset, 3, initial_epoch=2) == whole[8:]


def test_fit_without_a_callback_still_changes_the_order():
    model = Recorder()
    model.compile(optimizer="sgd")
    model.fit(pairs().as_dataset(), epochs=2, verbose=0)
    assert len(model.seen) == 10
    assert model.seen[:5] != model.seen[5:]


def test_fit_of_a_compiled_model_that_keras_must_build():
    """An unbuilt Sequential model: Keras 3 may draw a batch to build it."""
    seen = []

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(dataset.epoch)

    images = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 3), np.uint8)
    dataset = data.load(
        (images, np.arange(20) % 2), batch_size=4, labelled=True
    )
    model = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    model.compile(
        optimizer="sgd",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(
        dataset.as_dataset(),
        epochs=3,
        callbacks=[SetEpoch(dataset), Note()],
        validation_data=data.load(
            (images, np.arange(20) % 2),
            batch_size=8,
            labelled=True,
            training=False,
        ).as_dataset(),
        verbose=0,
    )
    assert seen == [1, 2, 3]


def test_probe_batches_of_their_own():
    """Five steps of training use up the probe's two batches two and a half
    times, in a new order every time; one variable moves both."""
    images = np.arange(20, dtype=np.uint8)[:, None, None, None]
    unlabelled = data.load(np.tile(images, (1, 2, 2, 1)), batch_size=4)
    labelled = pairs(9)
    both = data.with_probe(unlabelled, labelled)
    assert len(both) == 5
    assert both.element_spec["probe_labels"].shape == (4,)
    both.seek(3)
    got = list(both)
    assert both.epoch == 4
    unlabelled.seek(3)
    for x, expected in zip(got, unlabelled):
        np.testing.assert_array_equal(x["images"], expected)
    # ceil(5 / 2) = 3 epochs of the probe's images in one: 3 begins with 9.
    expected = drawn(labelled, [9, 10, 11])[:5]
    assert [x["probe_labels"].numpy().tolist() for x in got] == expected


def test_probe_batches_resumed_at_a_step():
    images = np.arange(20, dtype=np.uint8)[:, None, None, None]
    unlabelled = data.load(np.tile(images, (1, 2, 2, 1)), batch_size=4)
    both = data.with_probe(unlabelled, pairs(9))
    whole = list(both)
    for step in (1, 2):
        both.seek(0)
        rest = list(data.from_step(both, step))
        assert len(rest) == 5 - step
        for x, y in zip(rest, whole[step:]):
            for key in ("images", "probe_labels"):
                np.testing.assert_array_equal(x[key], y[key])


def test_probe_needs_the_right_datasets():
    unlabelled = data.load(np.zeros((4, 2, 2, 3), np.uint8), batch_size=2)
    with pytest.raises(ValueError, match="`dataset` must yield images without"):
        data.with_probe(pairs(), pairs())
    with pytest.raises(ValueError, match="make it with labelled=True"):
        data.with_probe(unlabelled, unlabelled)
    with pytest.raises(ValueError, match="`labelled_dataset` must be what"):
        data.with_probe(unlabelled, pairs().as_dataset())
