"""The exported SavedModel, in this process and in one without the package."""

import io
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import onnxruntime
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import models
from simclr_keras import serving
from simclr_keras import views
from simclr_keras.serving import single_file

SIZE = 48
NAMES = ["cat", "dog", "Ärger"]
PLAIN = pathlib.Path(__file__).with_name("serve_plainly.py")


def _encoder(size=None):
    """A small net with batch norm, whose statistics must be the moving ones."""
    layers = keras.layers
    encoder = keras.Sequential(
        [
            layers.Input([size, size, 3]),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(6, 3, strides=2, activation="relu"),
        ],
        name="encoder",
    )
    rng = np.random.RandomState(0)
    encoder.set_weights(
        [np.abs(rng.randn(*w.shape)) * 0.3 for w in encoder.get_weights()]
    )
    return encoder


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    return models.Classifier(_encoder(), 3)


@pytest.fixture(scope="module")
def exported(classifier, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "deep" / "export"
    path = serving.export(
        classifier,
        directory,
        class_names=NAMES,
        image_size=SIZE,
        about={"metrics": {"accuracy": 0.5}},
    )
    assert path == directory / "1"
    return path


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported)).signatures


def _images(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape, np.uint8)


def _expected(classifier, images):
    """Outputs of the Keras model for images with evaluation's preprocessing."""
    cropped = views.central_crop(images, SIZE, 0.875)
    return {
        "embedding": classifier.embed(cropped, training=False).numpy(),
        "probabilities": classifier(cropped, training=False).numpy(),
    }


def _check(outputs, expected):
    assert set(outputs) == {"embedding", "logits", "probabilities"}
    for name, value in expected.items():
        # Embeddings here are some 30: relative, as float32 rounds them.
        np.testing.assert_allclose(outputs[name], value, rtol=1e-5, atol=1e-5)
    logits = np.asarray(outputs["logits"], np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["probabilities"], p, atol=1e-6)
    for value in outputs.values():
        assert value.dtype == np.float32


def test_serves_in_a_process_without_the_package(
    classifier, exported, tmp_path
):
    """Sizes other than the training size, batches of 1 and 5."""
    images = {
        "one": _images(1, SIZE, SIZE, 3),
        "wide": _images(5, 60, 91, 3),
        "small": _images(2, 20, 17, 3),
    }
    np.savez(tmp_path / "images.npz", **images)
    # A new Python: a forked one has imported the package.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(PLAIN), str(exported)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "outputs.npz") as file:
        for key, batch in images.items():
            outputs = {
                name[len(key) + 1 :]: file[name]
                for name in file.files
                if name.startswith(key + "_")
            }
            _check(outputs, _expected(classifier, batch))


def test_signature_is_as_documented(signatures):
    assert set(signatures) == {
        "serving_default",
        "serve_encoded",
        "classify",
    }
    serve = signatures["serving_default"]
    (images,) = serve.structured_input_signature[1].values()
    assert images == tf.TensorSpec([None, None, None, 3], tf.uint8, "images")
    shapes = {k: v.shape.as_list() for k, v in serve.structured_outputs.items()}
    assert shapes == {
        "embedding": [None, 6],
        "logits": [None, 3],
        "probabilities": [None, 3],
    }


@pytest.mark.parametrize(
    "images",
    [
        np.zeros([1, SIZE, SIZE, 3], np.float32),
        np.zeros([1, SIZE, SIZE, 1], np.uint8),
    ],
    ids=["float", "grey"],
)
def test_other_than_uint8_rgb_is_refused(signatures, images):
    serve = signatures["serving_default"]
    with pytest.raises(
        Exception, match=r"uint8|\[1,48,48,1\]|\(1, 48, 48, 1\)"
    ):
        serve(images=tf.constant(images))


def test_card_stands_beside_the_graph(exported):
    card = json.loads((exported / "model_card.json").read_text("utf-8"))
    assert (card["name"], card["version"]) == ("export", 1)
    assert card["class_names"] == NAMES
    assert card["image_size"] == [SIZE, SIZE]
    assert card["crop_proportion"] == 0.875
    assert card["embedding_size"] == 6
    assert card["license"] is None and card["metrics"] == {"accuracy": 0.5}
    assert card["max_pixels"] == 89_478_485
    assert set(card["signatures"]) == {
        "serving_default",
        "serve_encoded",
        "classify",
    }
    assert card["signatures"]["serving_default"]["inputs"] == {
        "images": {"shape": [None, None, None, 3], "dtype": "uint8"}
    }
    outputs = card["signatures"]["serve_encoded"]["outputs"]
    assert outputs["probabilities"] == {"shape": [None, 3], "dtype": "float32"}
    text = (exported / "README.md").read_text("utf-8")
    for words in (
        "Ärger",
        "48 x 48 pixels",
        "87.5%",
        "accuracy: 0.5",
        "89,478,485",
    ):
        assert words in text
    assert text.index("## License") < text.index("Not said.")


def _encoded(image, kind="jpeg"):
    encode = {"jpeg": tf.io.encode_jpeg, "png": tf.io.encode_png}[kind]
    return encode(image).numpy()


def test_encoded_images_of_mixed_sizes(signatures):
    """Equals serving the decoded arrays one by one."""
    shapes = [(60, 91, 3), (SIZE, SIZE, 3), (20, 17, 3), (64, 64, 1)]
    kinds = ["jpeg", "png", "jpeg", "png"]
    encoded = [
        _encoded(_images(*shape, seed=i), kind)
        for i, (shape, kind) in enumerate(zip(shapes, kinds))
    ]
    outputs = signatures["serve_encoded"](encoded=tf.constant(encoded))
    for row, content in enumerate(encoded):
        with PIL.Image.open(io.BytesIO(content)) as image:
            array = np.array(image.convert("RGB"))
        alone = signatures["serving_default"](images=tf.constant(array[None]))
        for name, value in alone.items():
            np.testing.assert_allclose(outputs[name][row], value[0], atol=1e-5)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda jpeg: b"",
        lambda jpeg: b"no image",
        lambda jpeg: jpeg[: len(jpeg) // 2],
        lambda jpeg: b"\x89PNG\r\n\x1a\n" + jpeg,
        lambda jpeg: b"RIFF\x00\x00\x00\x00WEBP" + jpeg,
    ],
    ids=["nothing", "text", "cut", "png", "webp"],
)
def test_bytes_that_are_no_image_fail_alone(signatures, spoil):
    serve = signatures["serve_encoded"]
    good = _encoded(_images(60, 91, 3))
    before = serve(encoded=tf.constant([good]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve(encoded=tf.constant([good, spoil(good)]))
    after = serve(encoded=tf.constant([good]))
    np.testing.assert_array_equal(before["embedding"], after["embedding"])


def test_classes_by_name(signatures):
    """Sorted by the probabilities of the other signature."""
    encoded = tf.constant(
        [_encoded(_images(50, 60, 3, seed=s)) for s in (1, 2)]
    )
    named = signatures["classify"](encoded=encoded)
    plain = signatures["serve_encoded"](encoded=encoded)["probabilities"]
    for row in range(2):
        names = [n.decode() for n in named["class_names"][row].numpy()]
        assert sorted(names) == sorted(NAMES)
        p = named["probabilities"][row].numpy()
        assert (np.diff(p) <= 0).all()
        for name, value in zip(names, p):
            assert value == plain[row][NAMES.index(name)]


@pytest.mark.long
def test_saved_model_cli_gives_the_same(exported, classifier, tmp_path):
    images = _images(2, 60, 91, 3)
    np.save(tmp_path / "images.npy", images)
    program = "from tensorflow.python.tools.saved_model_cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "run", f"--dir={exported}"]
        + ["--tag_set=serve", "--signature_def=serving_default"]
        + [f"--inputs=images={tmp_path}/images.npy", f"--outdir={tmp_path}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, value in _expected(classifier, images).items():
        served = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(served, value, atol=1e-5)


def test_onnx_gives_the_same(classifier, tmp_path):
    """In ONNX's own runtime, with images of several sizes and batches."""
    path = serving.export(
        classifier,
        tmp_path / "export",
        format="onnx",
        class_names=NAMES,
        image_size=SIZE,
    )
    assert {file.name for file in path.iterdir()} == {
        "README.md",
        "model.onnx",
        "model_card.json",
    }
    session = onnxruntime.InferenceSession(
        str(path / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    for shape in ((2, 60, 91, 3), (1, SIZE, SIZE, 3), (3, 20, 17, 3)):
        images = _images(*shape)
        served = session.run(names, {"images": images})
        _check(dict(zip(names, served)), _expected(classifier, images))


def test_onnx_holds_only_so_much(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(single_file, "_LIMIT", 1000)
    with pytest.raises(ValueError, match="less than 1000 bytes .* bytes;"):
        serving.export(
            classifier, tmp_path / "x", format="onnx", image_size=SIZE
        )
    assert not list(tmp_path.iterdir())


def test_onnx_says_what_is_missing(classifier, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[onnx\]' in a"):
        serving.export(
            classifier, tmp_path / "x", format="onnx", image_size=SIZE
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    not hasattr(keras.layers, "TFSMLayer"), reason="Keras 3 has this layer"
)
def test_layer_of_keras_gives_the_same(exported, classifier):
    layer = keras.layers.TFSMLayer(
        str(exported), call_endpoint="serving_default"
    )
    images = _images(2, 60, 91, 3)
    _check(layer(images), _expected(classifier, images))


def test_a_bare_encoder_gives_pooled_embeddings(tmp_path):
    """Image size known from its input; small images are not cropped."""
    encoder = _encoder(32)
    path = serving.export(encoder, tmp_path / "export")
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    images = _images(3, 32, 32, 3)
    outputs = serve(images=tf.constant(images))
    assert set(outputs) == {"embedding"}
    expected = encoder(images / np.float32(255), training=False)
    np.testing.assert_allclose(
        outputs["embedding"], np.mean(expected, axis=(1, 2)), atol=1e-5
    )
    assert set(tf.saved_model.load(str(path)).signatures) == {
        "serving_default",
        "serve_encoded",
    }


def test_no_augmentation_is_inside(tmp_path):
    """Two calls agree, and equal h of the evaluation images."""
    model = models.SimCLR(_encoder(), views=views.TwoViews(image_size=SIZE))
    path = serving.export(model, tmp_path / "export")
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    images = _images(2, 70, 50, 3)
    first, second = (
        serve(images=tf.constant(images))["embedding"] for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    cropped = views.central_crop(images, SIZE, 0.875)
    np.testing.assert_allclose(first, model.embed(cropped), atol=1e-5)


def test_outputs_are_float32_under_mixed_precision(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = models.Classifier(_encoder(), 3, image_size=SIZE)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    path = serving.export(model, tmp_path / "export")
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    outputs = serve(images=tf.constant(_images(2, SIZE, SIZE, 3)))
    assert {value.dtype for value in outputs.values()} == {tf.float32}
    np.testing.assert_allclose(
        np.sum(outputs["probabilities"], axis=1), 1.0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "image_size must be given"),
        ({"image_size": 0.5}, "image_size"),
        ({"image_size": SIZE, "crop_proportion": 2.0}, "crop_proportion"),
        ({"image_size": SIZE, "class_names": ["a", "b"]}, "3 different names"),
        ({"image_size": SIZE, "class_names": ["a", "a", "b"]}, "different"),
        ({"image_size": SIZE, "class_names": ["a", "b\nc", "d"]}, "line"),
        ({"image_size": SIZE, "version": 0}, "positive integer"),
        ({"image_size": SIZE, "format": "h5"}, "saved_model, onnx, tflite"),
        ({"image_size": SIZE, "precision": "int8"}, "float32, as_trained"),
        ({"image_size": SIZE, "about": {"licence": "MIT"}}, "about may have"),
    ],
)
def test_wrong_arguments_are_named(classifier, tmp_path, arguments, text):
    with pytest.raises(ValueError, match=text):
        serving.export(classifier, tmp_path / "export", **arguments)
    assert not list(tmp_path.iterdir())


def test_wrong_arguments_of_an_encoder_are_named(tmp_path):
    with pytest.raises(ValueError, match="left out"):
        serving.export(_encoder(32), tmp_path / "x", class_names=["a", "b"])
    with pytest.raises(ValueError, match="fixed input"):
        serving.export(_encoder(32), tmp_path / "x", image_size=64)
    with pytest.raises(ValueError, match="scheme that TensorFlow reads here"):
        serving.export(_encoder(32), "nowhere://bucket/export")
    (tmp_path / "photo.jpg").write_text("precious")
    with pytest.raises(ValueError, match="not be a file"):
        serving.export(_encoder(32), tmp_path / "photo.jpg")
    assert not pathlib.Path("nowhere:").exists()


@pytest.mark.newest
@pytest.mark.parametrize("size", [np.int64(16), (np.int32(16), 16)])
def test_numbers_of_numpy_are_numbers(classifier, tmp_path, size):
    path = serving.export(
        classifier,
        tmp_path,
        image_size=size,
        version=np.int64(3),
        crop_proportion=np.float32(0.5),
    )
    card = json.loads((path / "model_card.json").read_text())
    assert path.name == "3" and card["crop_proportion"] == 0.5
