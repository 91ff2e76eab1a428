"""Weights files, which do not describe their network."""

import keras
import numpy as np
import pytest

import simclr_keras as sk


def _encoder(**arguments):
    return sk.TinyResNet((4, 8), **arguments)


@pytest.fixture(scope="module")
def encoder():
    """An encoder with batch norm statistics unlike the initial ones."""
    encoder = _encoder()
    rng = np.random.default_rng(0)
    encoder.set_weights(
        [rng.uniform(0.5, 1.5, w.shape) for w in encoder.get_weights()]
    )
    return encoder


def _file(encoder, kind, folder):
    model = {
        "encoder": lambda: encoder,
        "simclr": lambda: sk.SimCLR(
            encoder,
            sk.ProjectionHead(num_layers=2, out_dim=6),
            sk.TwoViews(24, jit=False),
            num_classes=3,
        ),
        "classifier": lambda: sk.Classifier(encoder, 3),
    }[kind]()
    path = folder / f"{kind}.weights.h5"
    model.save_weights(path)
    return path


@pytest.mark.parametrize("kind", ["encoder", "simclr", "classifier"])
@pytest.mark.filterwarnings("error:Skipping")
def test_an_encoder_gets_its_weights(encoder, kind, tmp_path):
    """From its own file, or from that of a model around it."""
    given = _encoder()
    parts = sk.load(_file(encoder, kind, tmp_path), encoder=given)
    assert parts.encoder is parts.model is given
    assert parts.projection_head is None and parts.settings == {}
    for found, expected in zip(given.get_weights(), encoder.get_weights()):
        np.testing.assert_array_equal(found, expected.astype(found.dtype))


@pytest.mark.parametrize(
    "other", [sk.TinyResNet((4, 8, 8)), sk.TinyResNet((4, 9))]
)
@pytest.mark.parametrize("kind", ["encoder", "simclr"])
def test_another_architecture_is_refused(encoder, other, kind, tmp_path):
    before = other.get_weights()
    with pytest.raises(ValueError, match="of the same architecture"):
        sk.load(_file(encoder, kind, tmp_path), encoder=other)
    for a, b in zip(before, other.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_what_is_no_file_of_weights_is_refused(encoder, tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        sk.load(tmp_path / "no.weights.h5", encoder=encoder)
    path = _file(encoder, "encoder", tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not intact"):
        sk.load(path, encoder=encoder)


def test_an_encoder_is_given_for_weights_alone(encoder, tmp_path):
    with pytest.raises(ValueError, match="encoder must be given"):
        sk.load(_file(encoder, "encoder", tmp_path))
    encoder.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="and for nothing else"):
        sk.load(tmp_path / "model.keras", encoder=encoder)


def test_a_functional_model_of_the_user(tmp_path):
    def network():
        images = keras.Input((24, 24, 3))
        x = keras.layers.Conv2D(4, 3, strides=2)(images)
        return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))

    saved = network()
    saved.save_weights(tmp_path / "user.weights.h5")
    parts = sk.load(tmp_path / "user.weights.h5", encoder=network())
    for a, b in zip(parts.encoder.get_weights(), saved.get_weights()):
        np.testing.assert_array_equal(a, b)
