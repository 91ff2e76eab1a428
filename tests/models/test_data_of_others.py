"""Data sets, generators and encoders from outside this package."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.networks import adapter

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 16, 16, 3)).astype(np.uint8)
LABELS = np.arange(24) % 3


def _simclr(encoder=None, size=16, **arguments):
    keras.utils.set_random_seed(1)
    model = sk.SimCLR(
        encoder or sk.TinyResNet((4,)),
        sk.ProjectionHead("linear", out_dim=8),
        sk.TwoViews(size, jit=False),
        **arguments,
    )
    model.compile(keras.optimizers.SGD(0.01))
    return model


def _classifier(encoder=None):
    keras.utils.set_random_seed(1)
    model = sk.Classifier(encoder or sk.TinyResNet((4,)), 3)
    model.compile(
        keras.optimizers.SGD(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _batches(*arrays):
    arrays = arrays if len(arrays) > 1 else arrays[0]
    return tf.data.Dataset.from_tensor_slices(arrays).batch(8)


def _unknown_length(dataset):
    dataset = dataset.filter(lambda *batch: True)
    assert dataset.cardinality() == tf.data.UNKNOWN_CARDINALITY
    return dataset


@pytest.mark.parametrize("labelled", [False, True])
def test_the_end_of_unknown_data_counts_for_nothing(labelled):
    """The same batches, once of a known length: the same figures and steps."""
    make = _classifier if labelled else _simclr
    data = _batches(IMAGES, LABELS) if labelled else _batches(IMAGES)
    known, unknown = make(), make()
    # Of one batch: without it, each figure of the validation is halved.
    first = data.take(1)
    there = known.fit(data, epochs=2, validation_data=first, verbose=0)
    here = unknown.fit(
        _unknown_length(data),
        epochs=2,
        validation_data=_unknown_length(first),
        verbose=0,
    )
    assert int(compat.as_numpy(unknown.optimizer.iterations)) == 6
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(
            here.history[name], there.history[name], rtol=1e-5
        )


def _generator(*arrays):
    for first in range(0, 24, 8):
        yield tuple(array[first : first + 8] for array in arrays)


class Pairs(keras.utils.Sequence):
    """Batches by number, as Keras takes them."""

    def __len__(self):
        return 3

    def __getitem__(self, number):
        rows = slice(8 * number, 8 * number + 8)
        return IMAGES[rows].astype(np.float32) / 255, LABELS[rows]


@pytest.mark.filterwarnings("ignore")  # what Keras says of the end of data
def test_python_generators_and_sequences():
    model = _simclr()
    model.fit(_generator(IMAGES), verbose=0)
    assert int(compat.as_numpy(model.optimizer.iterations)) == 3
    model.fit(Pairs(), verbose=0)
    probe = _classifier()
    probe.fit(_generator(IMAGES, LABELS), verbose=0)
    probe.fit(Pairs(), verbose=0)
    assert int(compat.as_numpy(probe.optimizer.iterations)) == 6


@compat.register
class Subclassed(keras.Model):
    """An encoder without `input_shape`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(4, 3)

    def call(self, inputs):
        return tf.reduce_mean(self.conv(inputs), axis=(1, 2))

    def get_config(self):
        return {"name": self.name}


def test_a_subclassed_encoder_is_trained_and_copied():
    encoder = Subclassed()
    _simclr(encoder).fit(IMAGES, batch_size=8, verbose=0)
    probe = _classifier(encoder)
    np.testing.assert_allclose(probe.embed(IMAGES), encoder(IMAGES / 255.0))
    probe.fit(IMAGES, LABELS, batch_size=8, verbose=0)
    _classifier(Subclassed())  # not built yet


def _tokens(size=16):
    """Patches of 4 x 4 pixels, as a vision transformer cuts them."""
    images = keras.Input((size, size, 3))
    patches = keras.layers.Conv2D(5, 4, strides=4)(images)
    outputs = keras.layers.Reshape(((size // 4) ** 2, 5))(patches)
    return keras.Model(images, outputs)


@pytest.mark.parametrize("tokens", ["first", "mean"])
def test_tokens_become_features(tokens):
    network = _tokens()
    encoder = sk.as_encoder(network, tokens=tokens)
    model = _simclr(encoder)
    given = network(IMAGES.astype(np.float32) / 255).numpy()
    expected = given[:, 0] if tokens == "first" else given.mean(axis=1)
    np.testing.assert_allclose(model.embed(IMAGES), expected, rtol=1e-5)
    probe = _classifier(model.encoder)
    np.testing.assert_allclose(probe.embed(IMAGES), expected, rtol=1e-5)
    model.fit(IMAGES, batch_size=8, verbose=0)


def test_tokens_alone_are_refused_with_the_way_to_take_them():
    with pytest.raises(ValueError, match=r"as_encoder\(encoder, tokens='fir"):
        _simclr(_tokens())
    with pytest.raises(ValueError, match="tokens must be 'first'"):
        sk.as_encoder(_tokens(), tokens="last")


@pytest.mark.parametrize("shape", [(24, 24, 3), (16, 16, 1), (3, 16, 16)])
def test_an_encoder_of_another_input_is_refused(shape):
    images = keras.Input(shape)
    features = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    with pytest.raises(ValueError, match="encoder must take images"):
        _simclr(keras.Model(images, features))


def test_a_classifier_says_it_by_the_images():
    probe = _classifier(_tokens_mean(24))
    with pytest.raises(ValueError, match="which takes 24 x 24 pixels"):
        probe.fit(_batches(IMAGES, LABELS), verbose=0)


def _tokens_mean(size):
    return sk.as_encoder(_tokens(size), tokens="mean")


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.Rescaling(1 / 255)],
        [keras.layers.Rescaling(1 / 127.5, offset=-1)],
        [
            keras.layers.Normalization(
                mean=[124.0, 116.0, 104.0], variance=[3364.0, 3249.0, 3306.0]
            )
        ],
    ],
    ids=["EfficientNetV2", "MobileNetV3", "ConvNeXt"],
)
def test_an_encoder_that_rescales_is_refused_or_wrapped(layers):
    """The first layers that these models of keras.applications have."""
    inner = keras.Sequential(
        [keras.Input((None, None, 3)), *layers, keras.layers.Conv2D(4, 3)]
    )
    for encoder in (inner, keras.Sequential([inner])):
        with pytest.raises(ValueError, match=r"as_encoder\(encoder, \(0, 255"):
            _simclr(encoder)
        with pytest.raises(ValueError, match=r"as_encoder\(encoder, \(0, 255"):
            _classifier(encoder)
    model = _simclr(sk.as_encoder(inner, (0, 255)))
    expected = inner(IMAGES.astype(np.float32)).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(
        model.embed(IMAGES), expected, rtol=1e-3, atol=1e-3
    )
    copy = _classifier(model.encoder)
    np.testing.assert_allclose(
        copy.embed(IMAGES), expected, rtol=1e-3, atol=1e-3
    )


def test_what_undoes_a_rescaling_is_left_to_the_user():
    """Pixels of [0, 1] times 255, over 255: right as it is."""
    encoder = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Lambda(lambda x: 255.0 * x),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3),
        ]
    )
    adapter.check_encoder(encoder)


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["EfficientNetV2B0", "MobileNetV3Small", "ConvNeXtTiny"]
)
def test_models_of_keras_applications(name):
    """Wrapped, their features tell images apart."""
    encoder = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    with pytest.raises(ValueError, match="as_encoder"):
        _simclr(encoder, size=32)
    model = _simclr(sk.as_encoder(encoder, (0, 255)), size=32)
    images = RNG.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    h = model.embed(images).numpy()
    assert np.abs(h - h[0]).max() / np.abs(h).max() > 0.1


def test_a_model_whose_input_is_scaled_up_is_none_that_rescales():
    inner = [keras.layers.Rescaling(2.0, offset=-1), keras.layers.Conv2D(4, 3)]
    _simclr(keras.Sequential([keras.Input((None, None, 3)), *inner]))


def test_a_batch_of_one_image_is_refused():
    with pytest.raises(ValueError, match="at least 2 images"):
        _simclr().fit(
            _batches(IMAGES).rebatch(1, drop_remainder=True), verbose=0
        )
    with pytest.raises(ValueError, match="at least 2 images"):
        _simclr().fit(IMAGES, batch_size=1, verbose=0)


def test_arrays_may_come_without_a_batch_size():
    model = _simclr()
    model.fit(IMAGES, verbose=0)
    assert model.global_batch_size == 32
