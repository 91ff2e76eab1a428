"""Encoders converted to another number of channels."""

import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import networks
from simclr_keras.networks import input_channels

RNG = np.random.default_rng(0)
GREY = RNG.random((3, 32, 32, 1), "float32")


def _own():
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.ZeroPadding2D(1),
            keras.layers.Conv2D(5, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(3, 3),
            keras.layers.Conv2D(4, 3),
        ]
    )


def _nested():
    return sk.as_encoder(_own(), value_range=(-1, 1))


@keras.saving.register_keras_serializable("test_input_channels")
class Subclassed(keras.Model):
    """An encoder without `input_shape`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(4, 3)

    def call(self, inputs):
        return self.conv(inputs)

    def get_config(self):
        return {"name": self.name}


def _subclassed(channels=3):
    encoder = Subclassed()
    encoder(np.zeros((1, 16, 16, channels), "float32"))
    return encoder


def _mobile():
    return keras.applications.MobileNetV2(
        (None, None, 3), alpha=0.35, include_top=False, weights=None
    )


def test_a_kernel_by_hand():
    """The mean over RGB, times 3 / C."""
    kernel = np.array([[[[3.0, 30.0], [6.0, 60.0], [0.0, 0.0]]]])
    found = input_channels.converted(kernel, 2)
    np.testing.assert_allclose(found, [[[[4.5, 45.0], [4.5, 45.0]]]])


@pytest.mark.parametrize(
    "make, channels",
    [
        pytest.param(lambda: sk.TinyResNet((4, 8)), 4, id="tiny"),
        pytest.param(
            lambda: sk.ResNet(18, width=0.0625, sk_ratio=0.1), 4, id="resnet"
        ),
        pytest.param(_own, 4, id="own"),
        pytest.param(_own, 1, id="own to grey"),
        pytest.param(_nested, 4, id="nested"),
        pytest.param(_subclassed, 4, id="subclassed"),
        pytest.param(_mobile, 4, id="mobile", marks=pytest.mark.long),
    ],
)
def test_equal_channels_have_the_features_of_grey(make, channels):
    keras.utils.set_random_seed(0)
    encoder = make()
    weights = [np.array(w) for w in encoder.get_weights()]
    made = networks.with_input_channels(encoder, channels)
    assert type(made) is type(encoder)
    assert networks.image_channels(made) == channels
    expected = encoder(np.repeat(GREY, 3, axis=-1), training=False)
    found = made(np.repeat(GREY, channels, axis=-1), training=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    for before, after in zip(weights, encoder.get_weights()):
        np.testing.assert_array_equal(before, after)


def test_channels_that_a_model_says():
    """By its input, or if it has none by the images it was built on."""
    assert networks.image_channels(sk.TinyResNet((4,), input_channels=5)) == 5
    assert networks.image_channels(_subclassed(5)) == 5
    for unknown in (Subclassed(), lambda images: images):
        assert networks.image_channels(unknown) == 3
        assert networks.image_channels(unknown, None) is None


def test_the_same_number_is_the_same_encoder():
    encoder = sk.TinyResNet((4,))
    assert networks.with_input_channels(encoder, 3) is encoder


def test_as_encoder_converts_when_asked():
    encoder = sk.as_encoder(_own(), channels=2)
    assert encoder.input_shape[-1] == 2
    assert sk.as_encoder(_own()).input_shape[-1] == 3
    assert sk.as_encoder(_subclassed(5), (-1, 1)).input_shape[-1] == 5


@pytest.mark.parametrize(
    "layers, reason",
    [
        (
            [
                keras.layers.Normalization(mean=[0.0] * 3, variance=[1.0] * 3),
                keras.layers.Conv2D(4, 3),
            ],
            "failed|depend",
        ),
        ([keras.layers.Flatten(), keras.layers.Dense(2)], "no kernel"),
        ([keras.layers.GlobalAveragePooling2D()], "0 of its weights"),
    ],
)
def test_other_encoders_are_refused(layers, reason):
    encoder = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    with pytest.raises(ValueError, match="first convolution alone") as error:
        networks.with_input_channels(encoder, 4)
    assert any(part in str(error.value) for part in reason.split("|"))


def test_our_encoders_take_any_number():
    for channels in (1, 13):
        encoder = sk.TinyResNet((4,), input_channels=channels)
        images = np.zeros((1, 8, 8, channels), "float32")
        assert encoder(images).shape == (1, 4)
        copy = sk.TinyResNet.from_config(encoder.get_config())
        assert copy.input_shape == (None, None, None, channels)
    for wrong in (0, 1.5, True):
        with pytest.raises(ValueError, match="`input_channels` must be"):
            sk.ResNet(18, input_channels=wrong)
