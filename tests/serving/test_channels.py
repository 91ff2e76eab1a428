"""Exports of models of grey images and of several bands."""

import io
import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import simclr_keras as sk

RNG = np.random.default_rng(0)


def _probe(channels):
    keras.utils.set_random_seed(0)
    encoder = sk.TinyResNet((4,), input_channels=channels)
    return sk.Classifier(encoder, 3, image_size=16)


def _signatures(path):
    return tf.saved_model.load(str(path)).signatures


@pytest.mark.newest
def test_five_bands(tmp_path):
    model = _probe(5)
    path = sk.export(model, tmp_path, pixel_range=(0, 10000))
    served = _signatures(path)
    assert set(served) == {"serving_default", "serve_values"}
    values = RNG.integers(1, 10000, (4, 16, 16, 5)).astype(np.float32)
    values[values % 1000 == 0] += 1  # which lie between two of 256 levels
    images = np.round(values / 10000 * 255).astype(np.uint8)
    expected = model(images)
    given = {"serving_default": {"images": images}}
    given["serve_values"] = {"values": values}
    for name, inputs in given.items():
        inputs = {key: tf.constant(x) for key, x in inputs.items()}
        found = served[name](**inputs)["probabilities"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    card = json.loads((path / "model_card.json").read_text())
    assert card["channels"] == 5
    assert card["signatures"]["serving_default"]["inputs"] == {
        "images": {"shape": [None, None, None, 5], "dtype": "uint8"}
    }
    text = (path / "README.md").read_text()
    assert "images of 5 channels in [0, 255]" in text
    assert "the values 0 and 10000" in text
    again = sk.load(path).model
    np.testing.assert_allclose(again(images), expected, atol=1e-6)


def test_the_full_range_of_16_bits_is_served_as_it_is_trained(tmp_path):
    """Without its lower byte, where dark images would round differently."""
    model = _probe(2)
    path = sk.export(model, tmp_path, pixel_range=(0, 65535))
    values = RNG.integers(0, 2000, (4, 16, 16, 2), np.uint16)
    source = sk.data.open_source(values, channels=2, pixel_range=(0, 65535))
    found = _signatures(path)["serve_values"](
        values=tf.constant(values.astype(np.float32))
    )
    np.testing.assert_allclose(
        found["embedding"], model.embed(source.images), atol=1e-5
    )


@pytest.mark.newest
def test_grey(tmp_path):
    model = _probe(1)
    path = sk.export(model, tmp_path)
    served = _signatures(path)
    assert set(served) == {"serving_default", "serve_encoded", "classify"}
    image = RNG.integers(0, 256, (16, 16), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG")
    encoded = tf.constant([file.getvalue()])
    found = served["serve_encoded"](encoded=encoded)["embedding"]
    expected = model.embed(image[None, ..., None])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    color = io.BytesIO()
    PIL.Image.fromarray(np.stack([image] * 3, -1)).save(color, "PNG")
    with pytest.raises(tf.errors.InvalidArgumentError):
        served["serve_encoded"](encoded=tf.constant([color.getvalue()]))


def test_rgb_is_as_before(tmp_path):
    path = sk.export(_probe(3), tmp_path, pixel_range=(0, 4095))
    names = {"serving_default", "serve_encoded", "classify"}
    assert set(_signatures(path)) == names
    assert "Images are RGB in [0, 255]" in (path / "README.md").read_text()
