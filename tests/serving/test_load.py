"""Exports and saved files load as Keras models."""

import shutil

import keras
import numpy as np
import pytest

import simclr_keras as sk

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), np.uint8)


@pytest.fixture(scope="module")
def simclr():
    keras.utils.set_random_seed(0)
    model = sk.SimCLR(
        sk.TinyResNet((4, 8)),
        sk.ProjectionHead(num_layers=2, out_dim=6),
        sk.TwoViews(24, blur=True, jit=False),
    )
    rng = np.random.default_rng(1)
    for part in (model.encoder, model.projection_head):
        # As after a training: no weight and no statistic is what it was.
        part.set_weights(
            [w + rng.uniform(0, 0.1, w.shape) for w in part.get_weights()]
        )
    model.compile(sk.LARS(0.1))
    return model


@pytest.fixture(scope="module")
def exported(simclr, tmp_path_factory):
    directory = tmp_path_factory.mktemp("simclr") / "export"
    about = {"run": {"train_epochs": "2"}}
    return sk.export(simclr, directory, about=about)


def _check(parts, model):
    for name in ("encoder", "projection_head"):
        ours, theirs = getattr(parts, name), getattr(model, name)
        assert type(ours) is type(theirs)
        for a, b in zip(ours.get_weights(), theirs.get_weights()):
            np.testing.assert_array_equal(a, b)
    found = parts.model(IMAGES, training=False)
    expected = model(IMAGES, training=False)
    for key in ("h", "z"):
        np.testing.assert_allclose(found[key], expected[key], atol=1e-6)


def test_an_export_gives_back_its_parts(simclr, exported):
    """The highest version, with the projection head, unused by signatures."""
    _check(sk.load(exported), simclr)
    parts = sk.load(exported.parent)
    _check(parts, simclr)
    assert parts.settings == {"train_epochs": "2"}
    assert parts.model.views.size == (24, 24)


def test_a_keras_file_gives_the_same_parts(simclr, tmp_path):
    simclr.save(tmp_path / "model.keras")
    parts = sk.load(tmp_path / "model.keras")
    _check(parts, simclr)
    assert parts.settings == {}


def test_a_bare_encoder_is_its_own(tmp_path):
    images = keras.Input((24, 24, 3))
    x = keras.layers.Conv2D(4, 3, strides=2)(images)
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))
    parts = sk.load(sk.export(encoder, tmp_path))
    assert parts.projection_head is None
    np.testing.assert_allclose(
        parts.encoder(IMAGES / np.float32(255)),
        encoder(IMAGES / np.float32(255)),
        atol=1e-6,
    )


def test_fine_tuning_goes_on_from_an_export(exported):
    """With another number of classes and another image size."""
    probe = sk.Classifier(sk.load(exported).encoder, num_classes=5)
    probe.compile("sgd", loss="sparse_categorical_crossentropy")
    images = np.repeat(IMAGES, 2, axis=1).repeat(2, axis=2)
    before = probe.encoder.get_weights()
    probe.fit(images, np.arange(4), verbose=0)
    assert probe(images).shape == (4, 5)
    after = probe.encoder.get_weights()
    assert any((a != b).any() for a, b in zip(before, after))


def test_exports_that_do_not_fit_are_refused(exported, tmp_path):
    without = tmp_path / "without"
    shutil.copytree(exported, without)
    (without / "assets.extra" / "model.json").unlink()
    with pytest.raises(ValueError, match="load the run directory"):
        sk.load(without)
    other = tmp_path / "other"
    shutil.copytree(exported, other)
    config = other / "assets.extra" / "model.json"
    text = config.read_text().replace(
        '"channels": [4, 8]', '"channels": [4, 8, 8]'
    )
    assert text != config.read_text()
    config.write_text(text)
    with pytest.raises(ValueError, match="those of its model"):
        sk.load(other)
    with pytest.raises(ValueError, match="does not exist"):
        sk.load(tmp_path / "nothing")
