"""Classifier: what is frozen, from where it starts, what it returns."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.models import trained_model


def _data(count=32, classes=3, size=16):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    images = rng.integers(0, 60, (count, size, size, 3))
    images += 90 * labels[:, None, None, None]
    images = images.astype(np.uint8)
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)


def _compiled(model, rate=0.1):
    model.compile(
        keras.optimizers.SGD(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def test_linear_evaluation_leaves_the_encoder_bit_for_bit():
    """Batch-norm statistics included, which the official TF 2 code moves."""
    encoder = sk.TinyResNet(channels=(4, 8))
    model = _compiled(sk.Classifier(encoder, 3, freeze="all"))
    before = model.encoder.get_weights()
    head = model.head.get_weights()[0]
    model.fit(_data(), epochs=3, verbose=0)
    for a, b in zip(before, model.encoder.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert len(model.trainable_variables) == 2
    assert np.abs(model.head.get_weights()[0] - head).max() > 0


def test_training_leaves_the_given_encoder_as_it_is():
    encoder = sk.TinyResNet(channels=(4, 8))
    before = encoder.get_weights()
    _compiled(sk.Classifier(encoder, 3)).fit(_data(), verbose=0)
    for a, b in zip(before, encoder.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert encoder.trainable


def test_none_thaws_an_encoder_that_came_frozen():
    frozen = sk.Classifier(sk.TinyResNet(channels=(4,)), 3, freeze="all")
    thawed = sk.Classifier(frozen.encoder, 3, freeze="none")
    assert len(frozen.trainable_variables) == 2
    assert len(thawed.trainable_variables) > 8


def test_views_of_photographs_are_refused_with_the_remedy():
    model = _compiled(sk.Classifier(sk.TinyResNet(channels=(4,)), 3))
    pairs = tf.zeros((4, 2, 16, 16, 3)), tf.zeros((4,), tf.int64)
    with pytest.raises(ValueError, match="views=1"):
        model.fit(tf.data.Dataset.from_tensors(pairs), verbose=0)


@pytest.mark.parametrize(
    "block",
    [
        -1,
        pytest.param(0, marks=pytest.mark.long),
        1,
        pytest.param(2, marks=pytest.mark.long),
    ],
)
def test_fine_tuning_moves_only_what_stands_behind_the_block(block):
    encoder = sk.TinyResNet(channels=(4, 8))
    model = _compiled(sk.Classifier(encoder, 3, freeze=block))
    before = {v.name: v.get_weights() for v in model.encoder.layers}
    model.fit(_data(), epochs=2, verbose=0)
    for layer in model.encoder.layers:
        for a, b in zip(before[layer.name], layer.get_weights()):
            frozen = model.encoder.stage_of(layer) <= block
            assert frozen == np.array_equal(a, b), layer.name


@pytest.mark.parametrize("selector, width", [(0, 8), (1, 8), (-1, 6)])
def test_starts_from_a_layer_of_the_projection_head(selector, width):
    simclr = sk.SimCLR(
        sk.TinyResNet(channels=(4, 8)),
        sk.ProjectionHead("nonlinear", num_layers=2, out_dim=6),
        sk.TwoViews(16, jit=False),
    )
    model = sk.Classifier(
        simclr.encoder,
        3,
        projection_head=simclr.projection_head,
        projection_layer=selector,
    )
    assert model.head.get_weights()[0].shape == (width, 3)
    images = tf.random.uniform((4, 16, 16, 3))
    h = simclr.embed(images)
    hs = simclr.projection_head.layer_outputs(h, training=False)
    np.testing.assert_allclose(
        model.logits_of(h), model.head(hs[selector]), atol=1e-6
    )
    if selector == 1:
        _compiled(model).fit(_data(), verbose=0)


def test_returns_probabilities_and_learns():
    model = _compiled(sk.Classifier(sk.TinyResNet(channels=(8, 16)), 3))
    # The moving statistics need 40 steps of decay 0.9 to forget their start.
    model.fit(_data(), epochs=25, verbose=0)
    probabilities = model.predict(_data(), verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    measured = model.evaluate(_data(), verbose=0, return_dict=True)
    assert measured["accuracy"] > 0.9


def test_loss_is_the_cross_entropy_of_the_logits():
    model = _compiled(sk.Classifier(sk.TinyResNet(channels=(4,)), 3))
    images, labels = next(iter(_data()))
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels, model.logits_of(model.embed(images))
    )
    loss = model.evaluate(_data().take(1), verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-5)


def test_augments_in_training_only():
    view = sk.View(16, jitter_probability=0.0, grayscale_probability=0.0)
    model = _compiled(
        sk.Classifier(sk.TinyResNet(channels=(4,)), 3, views=view), rate=0.0
    )
    plain = _compiled(sk.Classifier(model.encoder, 3), rate=0.0)
    plain.set_weights(model.get_weights())
    data = _data().take(1)
    results = [m.evaluate(data, verbose=0) for m in (model, plain)]
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)
    losses = [m.fit(data, verbose=0).history["loss"] for m in (model, plain)]
    assert abs(losses[0][0] - losses[1][0]) > 1e-6


def test_a_batch_can_be_trained_on_without_a_fit():
    """`fit` alone knows of crops that were made before."""
    views = sk.View(16, blur_probability=0.0)
    model = _compiled(sk.Classifier(sk.TinyResNet((4,)), 3, views=views))
    images, labels = next(iter(_data()))
    assert np.isfinite(model.train_on_batch(images, labels)).all()


def test_saves_and_loads(tmp_path):
    model = _compiled(
        sk.Classifier(
            sk.TinyResNet(channels=(4, 8)),
            3,
            freeze=1,
            views=sk.View(16, color_strength=0.5),
            image_size=16,
        )
    )
    model.fit(_data(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.freeze == 1
    assert loaded.image_size == 16
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    np.testing.assert_array_equal(
        model.predict(_data(), verbose=0), loaded.predict(_data(), verbose=0)
    )


def test_fit_notes_the_image_size_for_the_export(tmp_path):
    model = _compiled(sk.Classifier(sk.TinyResNet(channels=(4,)), 3))
    model.fit(_data(), verbose=0)
    assert model.image_size == 16
    path = sk.export(model, tmp_path / "export", class_names=["a", "b", "c"])
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    outputs = serve(tf.zeros((2, 20, 24, 3), tf.uint8))
    assert outputs["probabilities"].shape == (2, 3)


@pytest.mark.long
def test_keras_application_as_encoder():
    encoder = keras.applications.MobileNet(
        (32, 32, 3), alpha=0.25, include_top=False, weights=None
    )
    views = sk.TwoViews(32, jit=False, blur=False, color_strength=0.0)
    model = sk.SimCLR(encoder, views=views)
    model.compile("adam")
    images = np.zeros((4, 32, 32, 3), np.uint8)
    model.fit(tf.data.Dataset.from_tensors(images), verbose=0)
    probe = _compiled(sk.Classifier(model.encoder, 3, freeze="all"))
    probe.fit(_data(size=32), verbose=0)
    assert len(probe.trainable_variables) == 2
    assert model.embed(images).shape == (4, 256)


@pytest.mark.long
def test_keras_cv_backbone_as_encoder():
    keras_cv = pytest.importorskip("keras_cv")
    encoder = keras_cv.models.ResNetBackbone(
        stackwise_filters=[8, 16],
        stackwise_blocks=[2, 2],
        stackwise_strides=[1, 2],
        include_rescaling=False,
        input_shape=(32, 32, 3),
    )
    model = sk.SimCLR(encoder, views=sk.TwoViews(32, jit=False))
    model.compile("adam")
    images = np.zeros((4, 32, 32, 3), np.uint8)
    model.fit(tf.data.Dataset.from_tensors(images), verbose=0)
    assert model.embed(images).shape == (4, 64)
    probe = _compiled(sk.Classifier(model.encoder, 3, freeze="all"))
    probe.fit(_data(size=32), verbose=0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(num_classes=1), "num_classes must be"),
        (dict(freeze="some"), "freeze must be"),
        (dict(freeze=9), "stage"),
        (dict(projection_layer=1), "needs the projection_head"),
    ],
)
def test_errors(arguments, message):
    arguments = {"num_classes": 3, **arguments}
    with pytest.raises(ValueError, match=message):
        sk.Classifier(sk.TinyResNet(channels=(4,)), **arguments)


def test_stage_needs_an_encoder_of_ours():
    images = keras.Input((None, None, 3))
    plain = keras.Model(images, keras.layers.Conv2D(4, 3)(images))
    with pytest.raises(ValueError, match="knows its stages"):
        sk.Classifier(plain, 3, freeze=2)


def test_copy_has_the_same_weights_and_is_another():
    encoder = sk.TinyResNet(channels=(4,))
    image = np.zeros((1, 16, 16, 3), np.float32)
    copy = trained_model.copy_model(encoder, image)
    for a, b in zip(encoder.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(a, b)
    copy.set_weights([w + 1 for w in copy.get_weights()])
    assert np.abs(encoder.get_weights()[0] - copy.get_weights()[0]).min() > 0.5


def test_numbers_of_numpy_are_numbers():
    numbers = {"freeze": 1, "seed": 2, "image_size": 16, "projection_layer": 0}
    model = sk.Classifier(
        sk.TinyResNet((4,)),
        np.int64(4),
        l2=np.float32(0.5),
        **{name: np.int64(value) for name, value in numbers.items()},
    )
    settings = {name: getattr(model, name) for name in model.settings}
    expected = {**numbers, "num_classes": 4, "l2": 0.5}
    assert json.loads(json.dumps(settings)).items() >= expected.items()
    assert model(np.zeros((2, 16, 16, 3), np.uint8)).shape == (2, 4)
