"""Losses that ask for the classes of the images, in a training of SimCLR."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk

LABELS = np.arange(8) % 3


def _images(count=8):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 8, 8, 3), np.uint8)


def _model(loss, **options):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, strides=2)]
    )
    head = keras.layers.Dense(4)
    model = sk.SimCLR(encoder, head, sk.TwoViews(8, jit=False), **options)
    model.compile(keras.optimizers.SGD(0.0), loss)
    model.build_state()
    return model


def _losses(model, data):
    return float(model.train_step(data)["loss"])


@pytest.mark.parametrize(
    "micro_batch_size", [None, pytest.param(4, marks=pytest.mark.newest)]
)
def test_labels_reach_the_loss_in_the_order_of_the_images(micro_batch_size):
    """Also by micro-batches, and one-hot; each image a class is NT-Xent.

    Within float32: the same sums in another order.
    """
    images = tf.constant(_images())
    options = {"micro_batch_size": micro_batch_size}
    seen = []

    def own(z_a, z_b, labels):
        seen.append(labels)
        return sk.SupervisedContrastive(0.5)(z_a, z_b, labels=labels)

    labels = tf.constant(LABELS)
    supervised = _losses(
        _model(sk.SupervisedContrastive(0.5), **options), (images, labels)
    )
    assert _losses(_model(own, **options), (images, labels)) == supervised
    np.testing.assert_array_equal(seen[-1], LABELS)
    one_hot = _losses(_model(own, **options), (images, tf.one_hot(labels, 3)))
    assert one_hot == supervised
    plain = _losses(_model(sk.NTXent(0.5), **options), (images, labels))
    assert abs(supervised - plain) > 1e-3
    each = _losses(_model(own, **options), (images, tf.range(8)[:, tf.newaxis]))
    assert each == pytest.approx(plain, abs=1e-5)


def test_beside_a_probe_and_in_validation():
    model = _model(sk.SupervisedContrastive(), num_classes=3)
    data = sk.data.load(
        (_images(), LABELS), image_size=8, batch_size=4, labelled=True
    )
    history = model.fit(data, validation_data=data, verbose=0).history
    assert {"loss", "val_loss", "probe_accuracy"} <= history.keys()
    assert np.isfinite(history["val_loss"][0])


@pytest.mark.newest
def test_missing_labels_are_refused():
    model = _model(sk.SupervisedContrastive())
    with pytest.raises(ValueError, match="the loss takes labels.*images only"):
        model.train_step(tf.constant(_images()))
    with pytest.raises(ValueError, match="the loss takes labels.*a probe's"):
        model.train_step(
            {
                "images": tf.constant(_images()),
                "probe_images": tf.constant(_images()),
                "probe_labels": tf.constant(LABELS),
            }
        )


def test_weights_of_samples_are_refused():
    model = _model(sk.NTXent())
    with pytest.raises(ValueError, match="sample_weight must be left out"):
        model.fit(_images(), LABELS, sample_weight=np.ones(8), verbose=0)


@pytest.mark.parametrize("micro_batch_size", [None, 4])
def test_a_loss_of_two_views_computes_in_float32(micro_batch_size):
    """Whatever the policy of the networks is."""
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    seen = []

    def own(z_a, z_b):
        seen.extend([z_a.dtype, z_b.dtype])
        return tf.reduce_mean(tf.square(z_a - z_b))

    model = _model(own, micro_batch_size=micro_batch_size)
    assert model.z_spec.dtype == tf.float32
    assert np.isfinite(_losses(model, tf.constant(_images())))
    assert set(seen) == {tf.float32}


def test_losses_by_name():
    model = _model("nt_xent")
    assert isinstance(model.loss, sk.NTXent) and model.loss.temperature == 0.1
    assert isinstance(
        _model("supervised_contrastive").loss, sk.SupervisedContrastive
    )
    with pytest.raises(ValueError, match="must be one of.*'mse'"):
        _model("mse")
