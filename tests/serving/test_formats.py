"""One model in all formats: float32, and the same probabilities in each."""

import json

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.serving import single_file

SIZE = 40  # above the size up to which images are not cropped
# Half of a float32's last bit: what each operation rounds by, relatively.
ROUNDING = 2.0**-24


@pytest.fixture(scope="module")
def images():
    """Of the embedded data set, enlarged to two sizes that are cropped."""
    small = data.open_source("shapes", "test[:500]").images
    rows = np.arange(60) * 32 // 60
    columns = np.arange(91) * 32 // 91
    return small[:, rows][:, :, columns]


def _networks(policy):
    encoder = sk.TinyResNet((8,), dtype=policy)
    head = sk.ProjectionHead(num_layers=2, out_dim=8, dtype=policy)
    return encoder, head


def _classifier(policy):
    """A classifier on the first layer of the head, in a precision."""
    encoder, head = _networks(policy)
    head.build((None, 8))
    return sk.Classifier(
        encoder,
        10,
        projection_head=head,
        projection_layer=1,
        image_size=SIZE,
    )


@pytest.fixture(scope="module")
def trained():
    """A model of a bfloat16 run with confident predictions."""
    keras.utils.set_random_seed(0)
    model = _classifier("mixed_bfloat16")
    kernel = model.head.kernel
    kernel.assign(kernel * 10000.0)
    return model


@pytest.fixture(scope="module")
def full(trained):
    """The same model, made in float32."""
    model = _classifier("float32")
    model.set_weights(trained.get_weights())
    return model


@pytest.fixture(scope="module")
def expected(trained, full, images):
    """Probabilities by a Keras model that was made in float32."""
    crop = sk.views.CenterCrop(SIZE)
    p = full(crop(images), training=False).numpy()
    low = trained(crop(images), training=False).numpy()
    # Else nothing here could tell the precisions apart.
    assert np.abs(p - low).max() > 1e-3
    assert p.max(axis=1).mean() > 0.2  # 0.1 if it knew nothing
    return p


@pytest.fixture(scope="module")
def tolerance(full, images):
    """What two orders of float32 sums may differ by in a probability.

    A logit is a sum of eight products, S in all without their signs. The
    features in them are off by 4 roundings of the largest (2.5e-7, measured
    against the encoder in float64), and the sum by 8: 12 S of them in each
    runtime, 24 S between two. A probability moves by at most half of what
    the logits do. That is 3e-6 here; bfloat16 is off by a thousand times that.
    """
    h = full.embed(sk.views.CenterCrop(SIZE)(images))
    h = full.projection_head.layer_output(h, 1, training=False)
    products = np.abs(h) @ np.abs(full.head.kernel.numpy())
    return 12 * ROUNDING * products.max()


@pytest.fixture(scope="module")
def exports(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    return {
        name: sk.export(trained, folder / name, format=name)
        for name in ("saved_model", "onnx", "tflite")
    }


def _signature(path):
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]
    return lambda images: serve(images=tf.constant(images))


def _tensorflow(exports, images):
    return _signature(exports["saved_model"])(images)["probabilities"]


def _onnx(exports, images):
    session = onnxruntime.InferenceSession(
        str(exports["onnx"] / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    return session.run(["probabilities"], {"images": images})[0]


def _tflite(exports, images, output="probabilities"):
    path = str(exports["tflite"] / "model.tflite")
    run = tf.lite.Interpreter(path).get_signature_runner("serving_default")
    return run(images=images)[output]


def _openvino_saved_model(exports, images):
    return _openvino(exports["saved_model"], images)


def _openvino_onnx(exports, images):
    return _openvino(exports["onnx"] / "model.onnx", images)


def _openvino(path, images):
    openvino = pytest.importorskip("openvino")
    # It takes bfloat16 by itself on processors that multiply it.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(path), "CPU", settings)
    return model([images])["probabilities"]


RUNTIMES = (
    _tensorflow,
    _onnx,
    _tflite,
    _openvino_saved_model,
    _openvino_onnx,
)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "count", [30, pytest.param(500, marks=pytest.mark.long)]
)
def test_formats_agree(exports, images, expected, tolerance, runtime, count):
    """Agrees with the float32 model for two batch and image sizes."""
    p = runtime(exports, images[:count])
    np.testing.assert_allclose(p, expected[:count], rtol=0, atol=tolerance)
    if count == 30:
        wide = np.repeat(images[:3], 2, axis=2)
        assert runtime(exports, wide).shape == (3, 10)


def test_card_says_the_precision(exports):
    for name, path in exports.items():
        card = json.loads((path / "model_card.json").read_text())
        assert card["format"] == name
        assert card["precision"] == "float32"
        assert card["trained_in"] == "bfloat16"
        assert card["extra_operations"] == []
        text = (path / "README.md").read_text()
        assert "in float32 and was trained in bfloat16" in text


def test_what_is_exported_is_what_goes_on(exports, trained):
    """The Keras model beside the graph is the float32 one, with its weights."""
    model = sk.load(exports["saved_model"]).model
    for a, b in zip(model.get_weights(), trained.get_weights()):
        np.testing.assert_array_equal(a, b)
    image = np.zeros((1, SIZE, SIZE, 3), np.float32)
    assert model.encoder(image).dtype == "float32"
    assert trained.encoder(image).dtype == "bfloat16"  # left as it was


def test_precision_of_the_training(trained, images, expected, tmp_path):
    """With `as_trained`: the outputs of the bfloat16 model."""
    path = sk.export(trained, tmp_path / "low", precision="as_trained")
    p = _signature(path)(images[:30])["probabilities"]
    crop = sk.views.CenterCrop(SIZE)
    low = trained(crop(images[:30]), training=False)
    assert np.abs(p - expected[:30]).max() > 1e-3
    np.testing.assert_allclose(p, low, atol=np.abs(p - expected[:30]).max() / 2)
    card = json.loads((path / "model_card.json").read_text())
    assert card["precision"] == card["trained_in"] == "bfloat16"
    for name in ("onnx", "tflite"):
        with pytest.raises(ValueError, match="must be 'float32' for every"):
            sk.export(
                trained, tmp_path / name, format=name, precision="as_trained"
            )
    assert {each.name for each in tmp_path.iterdir()} == {"low"}


def test_encoders_of_others_become_float32(tmp_path):
    """Layer by layer; the custom class needs no registration."""

    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

        def compute_output_shape(self, shape):
            return shape

    def encoder():
        layers = keras.layers
        inputs = keras.Input((16, 16, 3))
        x = Doubled()(layers.Conv2D(4, 3)(inputs))
        return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        low = encoder()
        # The global policy does not matter.
        path = sk.export(low, tmp_path, format="tflite")
        assert keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_global_policy("float32")
    full = encoder()
    full.set_weights(low.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    h = _tflite({"tflite": path}, images, "embedding")
    np.testing.assert_allclose(h, full(images / np.float32(255)), atol=1e-6)


class _Low(keras.layers.Layer):
    def call(self, x):
        return tf.cast(tf.cast(x, tf.bfloat16), tf.float32)


def test_low_precision_in_code_is_refused(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((16, 16, 3)), _Low(), keras.layers.Flatten()]
    )
    with pytest.raises(ValueError, match="has another precision in its code"):
        sk.export(encoder, tmp_path / "export")
    assert not list(tmp_path.iterdir())


class _Rare(keras.layers.Layer):
    def call(self, x):
        two, one = [1, 2, 2, 1], [1, 1, 1, 1]
        return tf.image.extract_patches(x, two, two, one, "VALID")


def test_tensorflows_operations_where_the_built_in_do_not_suffice(tmp_path):
    """The card names them; TensorFlow's own interpreter has them."""
    encoder = keras.Sequential(
        [keras.Input((16, 16, 3)), _Rare(), keras.layers.Flatten()]
    )
    path = sk.export(encoder, tmp_path, format="tflite")
    card = json.loads((path / "model_card.json").read_text())
    assert card["extra_operations"] == ["FlexExtractImagePatches"]
    assert "FlexExtractImagePatches" in (path / "README.md").read_text()


def test_tflite_holds_only_so_much(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(single_file, "_LIMIT", 1000)
    with pytest.raises(ValueError, match="'tflite' must be of .* 1000 bytes"):
        sk.export(trained, tmp_path / "x", format="tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["saved_model", *single_file.FILES])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, name):
    """Files above a few bytes fail, as they do when the disk is full."""
    resource = pytest.importorskip("resource")
    inputs = keras.Input((16, 16, 3))
    encoder = keras.Model(inputs, keras.layers.Flatten()(inputs))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="could not be written to") as caught:
            sk.export(encoder, tmp_path / "export", format=name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = str(caught.value)
    assert str(tmp_path / "export") in message and "too large" in message
    assert "\n" not in message
    assert not list(tmp_path.iterdir())
