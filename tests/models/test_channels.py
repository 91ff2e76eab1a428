"""Models of grey images and of several bands."""

import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import networks

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (16, 16, 16, 5), np.uint8)
LABELS = np.arange(16) % 2


def _encoder(channels=5):
    return sk.TinyResNet((4,), input_channels=channels)


def _simclr(channels=5, encoder=None, **arguments):
    views = sk.TwoViews(16, channels=channels)
    model = sk.SimCLR(encoder or _encoder(channels), views=views, **arguments)
    model.compile(sk.LARS(0.1))
    return model


@pytest.mark.parametrize(
    "channels", [pytest.param(1, marks=pytest.mark.newest), 5]
)
def test_pretraining_and_classification(channels):
    images = IMAGES[..., :channels]
    model = _simclr(channels, num_classes=2, micro_batch_size=4)
    assert model.input_shape == (None, 16, 16, channels)
    model.fit(images, LABELS, batch_size=8, verbose=0)
    floats = images.astype(np.float32) / 255
    h = model.predict(images, verbose=0)["h"]
    np.testing.assert_allclose(model.embed(floats), h, atol=1e-5)
    model.evaluate(images, LABELS, verbose=0)
    view = sk.View(16, channels=channels)
    probe = sk.Classifier(model.encoder, 2, views=view)
    probe.compile("sgd", "sparse_categorical_crossentropy")
    probe.fit(images, LABELS, batch_size=8, verbose=0)
    assert probe.predict(images, verbose=0).shape == (16, 2)


def test_a_data_set_of_the_package():
    batches = sk.data.load(IMAGES, channels=5, batch_size=8)
    model = _simclr()
    history = model.fit(batches, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_four_bands_are_no_alpha():
    """The fourth band changes h, and nothing is composited onto white."""
    model = _simclr(4)
    images = IMAGES[..., :4]
    h = model.embed(images)
    expected = model.encoder(images.astype(np.float32) / 255, training=False)
    np.testing.assert_allclose(h, expected, atol=1e-6)


def test_evaluation_takes_the_channels_of_the_encoder():
    train = sk.data.load(
        (IMAGES, LABELS),
        channels=5,
        batch_size=8,
        training=False,
        labelled=True,
    )
    h, y = sk.evaluation.extract(_encoder(), train)
    assert h.shape == (16, 4)
    np.testing.assert_array_equal(y, LABELS)
    flat, _ = sk.evaluation.extract(
        lambda x: sk.evaluation.pixel_features(x, 5), train, channels=5
    )
    np.testing.assert_allclose(flat, IMAGES.reshape(16, -1) / 255, atol=1e-6)
    knn = sk.evaluation.KNNCallback(train, train, k=3)
    model = _simclr()
    h = np.asarray(model.embed(IMAGES))
    expected = sk.evaluation.knn_accuracy(h, LABELS, h, LABELS, k=3)
    assert knn.accuracy_of(model) == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_images_of_other_channels_are_refused(count):
    images = IMAGES[..., :count]
    message = f"channels of the encoder's input, 5,.*Received: {count}"
    model = _simclr()
    with pytest.raises(ValueError, match=message):
        model.fit(images, batch_size=8, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.embed(images)
    probe = sk.Classifier(_encoder(), 2)
    probe.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=message):
        probe.fit(images, LABELS, verbose=0)


def test_views_of_other_channels_are_refused():
    message = r"State the channels of the views, sk.TwoViews\(size, channels=5"
    for make in (
        lambda: sk.SimCLR(_encoder(), views=sk.TwoViews(16)),
        lambda: sk.Classifier(_encoder(), 2, views=sk.View(16)),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@keras.saving.register_keras_serializable("test_channels")
class Subclassed(keras.Model):
    """An encoder without `input_shape`: the views state its channels."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(4, 3)

    def call(self, inputs):
        return self.conv(inputs)

    def get_config(self):
        return {"name": self.name}


def test_a_subclassed_encoder_has_the_channels_of_the_views():
    model = _simclr(5, Subclassed())
    model.fit(IMAGES, batch_size=8, verbose=0)
    assert model.embed(IMAGES).shape == (16, 4)
    # Once it is built, it says them itself.
    assert networks.image_channels(model.encoder) == 5
    probe = sk.Classifier(model.encoder, 2)
    assert networks.image_channels(probe) == probe.input_channels == 5
    assert probe.predict(IMAGES, verbose=0).shape == (16, 2)
    with pytest.raises(ValueError, match=r"sk.TwoViews\(size, channels=5\)"):
        sk.SimCLR(model.encoder, views=sk.TwoViews(16))


def test_a_run_is_loaded_and_keeps_its_channels(tmp_path):
    whole = _simclr()
    whole.fit(
        sk.data.load(IMAGES, channels=5, batch_size=8),
        epochs=2,
        callbacks=sk.training.callbacks(tmp_path),
        verbose=0,
    )
    loaded = sk.load(tmp_path)
    assert loaded.encoder.input_shape[-1] == 5
    assert loaded.model.views.channels == 5
    found = loaded.model.embed(IMAGES)
    np.testing.assert_array_equal(found, whole.embed(IMAGES))
    grey = _simclr(1)
    with pytest.raises(ValueError, match="input_channels: 5 there, 1 now"):
        grey.fit(
            IMAGES[..., :1],
            batch_size=8,
            callbacks=sk.training.callbacks(tmp_path),
            verbose=0,
        )
