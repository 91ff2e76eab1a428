"""Images of 12 bits in 16: scaled by a stated range, or refused."""

import functools
import io

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import data
from simclr_keras import images as decoding
from simclr_keras import training
from simclr_keras.commands import export
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import stages
from simclr_keras.images.formats import pixel_range

RANGE = (0, 4095)
SCENE = np.random.default_rng(0).integers(0, 4096, (6, 16, 16), np.uint16)
SCENE[:, 0, 0], SCENE[:, 0, 1] = 0, 4095
# 4095 levels on 255: value / 4095 * 255, to the nearest.
EXPECTED = np.round(SCENE / 4095 * 255)


def _png(image):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _assert_scaled(images, close=0):
    """`close` levels: where a resize rounds once more."""
    images = np.asarray(images, int)
    assert images.shape[-1] == 3
    for channel in range(3):
        found = np.abs(images[..., channel] - EXPECTED)
        assert found.max() <= close


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scans")
    for number, image in enumerate(SCENE):
        (path / f"{number}.png").write_bytes(_png(image))
    return path


@pytest.mark.newest
def test_decoding():
    encoded = _png(SCENE[0])
    assert decoding.decode(encoded).numpy().mean() < 10  # nearly black
    for in_graph in (False, True):
        decode = functools.partial(decoding.decode, in_graph=in_graph)
        found = tf.function(lambda x, d=decode: d(x, pixel_range=RANGE))
        image = found(tf.constant(encoded)).numpy().astype(int)
        assert np.abs(image[..., 1] - EXPECTED[0]).max() == 0
        eight = (SCENE[0] >> 4).astype(np.uint8)  # 8 bits: as they are
        image = found(tf.constant(_png(eight))).numpy()
        np.testing.assert_array_equal(image[..., 0], eight)


def test_dark_images_of_a_folder_are_refused(folder):
    message = "--pixel_range=0,4095; Python.*values up to 4095 in 6 images"
    with pytest.raises(ValueError, match=message):
        data.open_source(f"folder:{folder}")
    source = data.open_source(f"folder:{folder}", pixel_range=(0, 65535))
    assert source.pixel_range == (0, 65535)


def test_alpha_hides_no_darkness(tmp_path):
    """Opaque is 65535; the colours are of 12 bits."""
    alpha = np.full_like(SCENE, 65535)
    images = np.stack([SCENE, alpha], axis=-1)
    np.savez(tmp_path / "a.npz", images=images)
    with pytest.raises(ValueError, match="--pixel_range=0,4095"):
        data.open_source(f"arrays:{tmp_path / 'a.npz'}")


@pytest.mark.parametrize("skip_corrupt", [False, True])
def test_a_damaged_image_of_16_bits_is_named_where_it_is_decoded(
    tmp_path, skip_corrupt
):
    whole = _png((SCENE[0] * 16).astype(np.uint16))
    (tmp_path / "a.png").write_bytes(whole)
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    text = f"folder:{tmp_path}"
    if skip_corrupt:
        with pytest.warns(UserWarning, match="1 of 2 images cannot be decoded"):
            source = data.open_source(text, skip_corrupt=True)
        assert source.num_examples == 1
        return
    batches = data.make_dataset(
        data.open_source(text), batch_size=2, image_size=16, training=False
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="b.png: "):
        list(batches)


def test_the_whole_range_is_as_without_a_range():
    """The lower eight bits are dropped, in NumPy and in TensorFlow."""
    values = np.arange(0, 65536, 7, dtype=np.uint16)
    for given in (values, tf.constant(values)):
        found = np.asarray(pixel_range.to_uint8(given, (0, 65535)))
        np.testing.assert_array_equal(found, values >> 8)


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_a_folder_is_scaled(folder, tmp_path, cache):
    source = data.open_source(f"folder:{folder}", pixel_range=RANGE)
    source = data.cached(source, cache, directory=tmp_path)
    batches = data.make_dataset(
        source, batch_size=6, image_size=16, training=False, crop_proportion=1.0
    )
    _assert_scaled(np.round(next(iter(batches)) * 255), close=1)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_arrays_are_scaled(tmp_path, dtype):
    np.savez(tmp_path / "a.npz", images=SCENE.astype(dtype))
    spec = f"arrays:{tmp_path / 'a.npz'}"
    with pytest.raises(ValueError, match="--pixel_range"):
        data.open_source(spec)
    _assert_scaled(data.open_source(spec, pixel_range=RANGE).images)
    given = data.open_source(SCENE.astype(dtype), pixel_range=RANGE)
    _assert_scaled(given.images)


def test_arrays_of_nan_are_refused():
    images = SCENE.astype(np.float32)
    images[0, 0, 0] = np.nan
    for stated in (None, RANGE):
        with pytest.raises(ValueError, match="finite floats"):
            data.open_source(images, pixel_range=stated)


def test_sixteen_bits_that_use_their_range_need_no_word():
    bright = SCENE * 16
    images = data.open_source(bright).images
    np.testing.assert_array_equal(images[..., 0], bright // 256)


@pytest.mark.parametrize("stated", [(4095, 0), (0,), "12", (0, np.nan)])
def test_what_is_no_range_is_refused(stated):
    with pytest.raises(ValueError, match="pixel_range must be a pair"):
        data.open_source(SCENE, pixel_range=stated)


def test_a_range_that_nothing_needs_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(_png(np.zeros((8, 8), np.uint8)))
    with pytest.raises(ValueError, match="is for images of 16 bits"):
        data.open_source(f"folder:{tmp_path}", pixel_range=RANGE)
    with pytest.raises(ValueError, match="left out for 'shapes'"):
        data.open_source("shapes", pixel_range=RANGE)


@pytest.mark.newest
def test_the_export_scales_what_it_is_sent(tmp_path):
    """As the evaluation does, whose pixels the encoder gets."""
    images = keras.Input((16, 16, 3))
    flat = keras.layers.Flatten()(images)
    model = keras.Model(images, keras.layers.Lambda(tf.identity)(flat))
    path = sk.export(model, tmp_path, image_size=16, pixel_range=RANGE)
    serve = tf.saved_model.load(str(path)).signatures["serve_encoded"]
    encoded = tf.constant([_png(image) for image in SCENE])
    h = serve(encoded=encoded)["embedding"].numpy()
    _assert_scaled(np.round(h.reshape(6, 16, 16, 3) * 255))


@pytest.mark.newest
def test_an_export_hands_its_range_on(tmp_path):
    """To an export of it, wherever it was copied to."""
    first = sk.export(
        sk.TinyResNet((4,)), tmp_path / "a", image_size=16, pixel_range=RANGE
    )
    arguments = [
        f"--checkpoint={first}",
        f"--export_dir={tmp_path / 'b'}",
        "--image_size=16",
    ]
    second = export.run(command_line.parse(export.define_flags, arguments))
    encoded = tf.constant([_png(image) for image in SCENE])
    served = [
        tf.saved_model.load(str(path)).signatures["serve_encoded"](
            encoded=encoded
        )["embedding"]
        for path in (first, second)
    ]
    np.testing.assert_allclose(*served, atol=1e-6)


def test_the_command_says_the_range(folder, tmp_path):
    """In the start line and in `flags.txt`, where the export finds it."""
    arguments = [f"--dataset=folder:{folder}", "--pixel_range=0,4095"]
    settings = command_line.parse(pretrain.define_flags, arguments)
    source = input_data.open_source(settings, "train")
    devices = type("Devices", (), {"replicas": 1, "chief": True})()
    line = stages.start_line(settings, devices, source, 1)
    assert "6 images" in line
    assert "| pixels from 0 (black) to 4095 (white) |" in line
    run = training.RunDirectory(tmp_path / "run")
    run.claim(settings.flags_text)
    assert export.pixel_range_of(run) == RANGE
    assert (
        command_line.parse(
            pretrain.define_flags, [f"--flagfile={run.flags}"]
        ).pixel_range
        == RANGE
    )


tfds = pytest.importorskip("tensorflow_datasets")


class ScansOfTwelveBits(tfds.core.GeneratorBasedBuilder):
    """Images of 12 bits, as uint16 and as float32."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="uint16"),
        tfds.core.BuilderConfig(name="float32"),
    ]
    pkg_dir_path = None

    def _info(self):
        kind = getattr(np, self.builder_config.name)
        image = tfds.features.Image(shape=(16, 16, 1), dtype=kind)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": image})
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        kind = getattr(np, self.builder_config.name)
        for number, image in enumerate(SCENE):
            yield number, {"image": image[..., None].astype(kind)}


@pytest.fixture(scope="module")
def tfds_dir(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("tfds"))
    for config in ("uint16", "float32"):
        builder = ScansOfTwelveBits(data_dir=root, config=config)
        builder.download_and_prepare()
    return root


def test_tfds(tfds_dir):
    name = "scans_of_twelve_bits/uint16"
    with pytest.raises(ValueError, match="--pixel_range=0,4095"):
        data.open_source(name, data_dir=tfds_dir)
    source = data.open_source(name, data_dir=tfds_dir, pixel_range=RANGE)
    # TFDS shuffles what it writes.
    found = sorted(image[..., 0].tobytes() for image in source.images)
    expected = sorted(x.tobytes() for x in EXPECTED.astype(np.uint8))
    assert found == expected


def test_tfds_of_float32_is_refused(tfds_dir):
    with pytest.raises(ValueError, match="must be uint8 or uint16"):
        data.open_source("scans_of_twelve_bits/float32", data_dir=tfds_dir)
