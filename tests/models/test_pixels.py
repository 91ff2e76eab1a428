"""`fit` with pixels out of range, NaN, and 1, 2 or 4 channels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.models import pixels

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 16, 16, 3)).astype(np.uint8)
LABELS = np.arange(24) % 3
FLOATS = IMAGES.astype(np.float32)
WRONG = {
    "255": (FLOATS, "divide them by 255.0.*values from 0 to 255"),
    "one": (FLOATS / 127.5 - 1, r"\(x \+ 1\) / 2.*from -1 to 1"),
    "standard": ((FLOATS - 128) / 20, "before they are standardised"),
    "16 bits": (FLOATS * 257, "by 65535.0"),
}


def _simclr(**arguments):
    model = sk.SimCLR(
        sk.TinyResNet((4,)),
        sk.ProjectionHead("linear", out_dim=8),
        sk.TwoViews(16, jit=False),
        **arguments,
    )
    model.compile(keras.optimizers.SGD(0.01))
    return model


def _classifier(**arguments):
    model = sk.Classifier(sk.TinyResNet((4,)), 3, **arguments)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def simclr():
    return _simclr()


@pytest.fixture(scope="module")
def classifier():
    return _classifier()


def _batches(*arrays):
    arrays = arrays if len(arrays) > 1 else arrays[0]
    return tf.data.Dataset.from_tensor_slices(arrays).batch(8)


@pytest.mark.parametrize("images, message", WRONG.values(), ids=WRONG)
def test_each_range_has_its_remedy(images, message):
    with pytest.raises(ValueError, match=message):
        sk.TwoViews(16, jit=False)(images, step=0)


@pytest.mark.parametrize(
    "labels", [(), (LABELS,)], ids=["simclr", "classifier"]
)
def test_another_range_stops_the_first_step(simclr, classifier, labels):
    model = classifier if labels else simclr
    before = int(compat.as_numpy(model.optimizer.iterations))
    with pytest.raises(ValueError, match="values from 0 to 255"):
        model.fit(_batches(FLOATS, *labels), verbose=0)
    assert int(compat.as_numpy(model.optimizer.iterations)) == before + 1
    with pytest.raises(ValueError, match="values from 0 to 255"):
        model.evaluate(_batches(FLOATS, *labels), verbose=0)


def test_prediction_and_features_are_as_strict(simclr, classifier):
    for model in (simclr, classifier):
        with pytest.raises(ValueError, match="values from 0 to 255"):
            model.predict(FLOATS, batch_size=8, verbose=0)
        with pytest.raises(ValueError, match="values from 0 to 255"):
            model.embed(FLOATS)
    with pytest.raises(ValueError, match="values from 0 to 255"):
        sk.evaluation.extract(simclr.encoder, _batches(FLOATS))


def test_validation_data_are_as_strict(classifier):
    with pytest.raises(ValueError, match="values from 0 to 255"):
        classifier.fit(
            _batches(IMAGES, LABELS),
            validation_data=_batches(FLOATS, LABELS),
            verbose=0,
        )


def test_what_a_resize_overshoots_is_no_other_range():
    """A bicubic resize of black and white squares, by TensorFlow itself."""
    squares = np.kron(np.eye(4), np.ones((4, 4)))[None, ..., None]
    squares = np.repeat(np.repeat(squares, 8, axis=0), 3, axis=-1)
    images = tf.image.resize(squares, (19, 19), method="bicubic").numpy()
    assert images.min() < -0.05 and images.max() > 1.05
    sk.TwoViews(16, jit=False)(images.astype(np.float32), step=0)


def test_floats_and_bytes_give_the_same_predictions(classifier):
    predictions = classifier.predict(IMAGES, batch_size=8, verbose=0)
    np.testing.assert_allclose(
        classifier.predict(FLOATS / 255, batch_size=8, verbose=0),
        predictions,
        atol=1e-6,
    )
    with_labels = classifier.predict(_batches(IMAGES, LABELS), verbose=0)
    np.testing.assert_allclose(with_labels, predictions, atol=1e-6)


def test_a_pixel_that_is_nan_in_a_later_batch_stops_the_epoch(simclr):
    images = FLOATS / 255
    images[20, 3, 4, 1] = np.nan
    before = simclr.get_weights()
    with pytest.raises(ValueError, match="must be finite.*NaN or infinite"):
        simclr.fit(_batches(images), verbose=0)
    simclr.set_weights(before)


def test_nan_in_z_is_nan_in_the_loss(simclr):
    """The sums over negatives drop it: the loss stood at log(2N - 1)."""
    before = simclr.encoder.get_weights()
    simclr.encoder.set_weights([np.full_like(w, np.nan) for w in before])
    logs = simclr.evaluate(_batches(IMAGES), verbose=0, return_dict=True)
    simclr.encoder.set_weights(before)
    assert np.isnan(logs["loss"])


def test_a_step_compiled_by_xla_notes_the_range():
    model = _classifier()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    with pytest.raises(ValueError, match="values from 0 to 255"):
        model.fit(_batches(FLOATS, LABELS), verbose=0)


def test_grey_and_alpha_are_what_files_are():
    """Pillow lays the image on white."""
    from PIL import Image

    alpha = RNG.integers(0, 256, (16, 16, 1)).astype(np.uint8)
    four = np.concatenate([IMAGES[0], alpha], axis=-1)
    white = Image.new("RGBA", (16, 16), (255,) * 4)
    white.alpha_composite(Image.fromarray(four, "RGBA"))
    expected = np.asarray(white.convert("RGB"), int)
    found = pixels.to_rgb(four[None]).numpy()[0]
    assert np.abs(found.astype(int) - expected).max() <= 1
    as_float = pixels.to_float(four[None].astype(np.float32) / 255).numpy()[0]
    assert np.abs(as_float * 255 - expected).max() <= 1
    grey = pixels.to_rgb(IMAGES[..., :1]).numpy()
    for channel in range(3):
        np.testing.assert_array_equal(grey[..., channel], IMAGES[..., 0])


@pytest.mark.newest
@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_alpha_are_trained_on(simclr, classifier, channels):
    images = np.resize(IMAGES, (24, 16, 16, channels))
    simclr.fit(_batches(images), verbose=0)
    classifier.fit(_batches(images, LABELS), verbose=0)
    rgb = pixels.to_rgb(images).numpy()
    np.testing.assert_array_equal(
        classifier.predict(images, verbose=0),
        classifier.predict(rgb, verbose=0),
    )


def test_other_numbers_of_channels_and_dtypes_are_refused(simclr, classifier):
    bands = np.zeros((8, 16, 16, 13), np.float32)
    with pytest.raises(ValueError, match="Received: 13 channels"):
        simclr.fit(_batches(bands), verbose=0)
    with pytest.raises(ValueError, match="Received: 13 channels"):
        classifier.fit(_batches(bands, LABELS[:8]), verbose=0)
    with pytest.raises(ValueError, match="divide integers by their largest"):
        classifier.predict(IMAGES.astype(np.uint16), verbose=0)
    for channels in (2, 4):  # alpha must not cut off what is above 255
        images = np.full((8, 16, 16, channels), 65535, np.uint16)
        with pytest.raises(ValueError, match="Received: images of dtype uint1"):
            pixels.to_rgb(images)
    with pytest.raises(ValueError, match="grey images have one channel"):
        simclr.fit(_batches(IMAGES[..., 0]), verbose=0)
