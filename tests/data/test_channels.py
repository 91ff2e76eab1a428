"""Data sets whose images keep their channels: arrays, files, TFDS tensors."""

import builtins
import io
import types

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras.images.formats import tiff

pytestmark = pytest.mark.newest
RNG = np.random.default_rng(0)
RANGE = (0, 10000)
BANDS = RNG.integers(0, 10001, (8, 16, 16, 13), np.uint16)
BANDS[BANDS % 1000 == 0] += 1  # which lie between two of 256 levels
SCALED = np.round(np.minimum(BANDS / 10000, 1) * 255).astype(np.uint8)
GREY = RNG.integers(0, 256, (6, 16, 16), np.uint8)


def _png(image):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int32])
def test_arrays(tmp_path, dtype):
    np.savez(tmp_path / "a.npz", images=BANDS.astype(dtype))
    for spec in (BANDS.astype(dtype), f"arrays:{tmp_path / 'a.npz'}"):
        source = data.open_source(spec, channels=13, pixel_range=RANGE)
        np.testing.assert_array_equal(source.images, SCALED)
        assert source.image_shape == (16, 16, 13)
        assert source.take([1, 2]).channels == 13


def test_arrays_of_the_range_of_their_type():
    eight = data.open_source(SCALED, channels=13).images
    np.testing.assert_array_equal(eight, SCALED)
    floats = SCALED.astype(np.float32) / 255
    found = data.open_source(floats, channels=13).images
    np.testing.assert_array_equal(found, SCALED)
    with pytest.raises(ValueError, match="--pixel_range=0,16383"):
        data.open_source(BANDS, channels=13)
    for images in (GREY, GREY[..., None]):
        source = data.open_source(images, channels=1)
        np.testing.assert_array_equal(source.images[..., 0], GREY)


def test_arrays_of_other_channels_are_refused(tmp_path):
    with pytest.raises(ValueError, match="channels=12 .*has 13 channels"):
        data.open_source(SCALED, channels=12)
    with pytest.raises(ValueError, match="channels=1 .*which has 3 channels"):
        data.open_source(SCALED[..., :3], channels=1)
    with pytest.raises(ValueError, match="--channels=13"):
        data.open_source(SCALED)
    with pytest.raises(ValueError, match="'shapes', which has 3 channels"):
        data.open_source("shapes", channels=1)
    with pytest.raises(ValueError, match="whole number of at least 1"):
        data.open_source(SCALED, channels=0)


def test_batches_of_arrays():
    load = {"batch_size": 4, "channels": 13}
    batches = data.load(SCALED, **load, training=False)
    found = np.concatenate([np.asarray(each) for each in batches])
    np.testing.assert_array_equal(found, SCALED)


def test_evaluation_images():
    source = data.open_source(SCALED, channels=13)
    for size in (16, 40):
        batches = data.evaluation_images(source, size, 8, labelled=False)
        (images,) = (np.asarray(each) for each in batches)
        assert images.shape == (8, size, size, 13)
    assert data.read_images(source, np.array([[1, 2]]), 8).shape[-1] == 13


@pytest.fixture
def scans(tmp_path):
    for number, image in enumerate(GREY):
        (tmp_path / f"{number}.png").write_bytes(_png(image))
    return tmp_path


@pytest.mark.parametrize(
    "cache", ["none", pytest.param("memory", marks=pytest.mark.long), "disk"]
)
def test_a_folder_of_grey_images(scans, tmp_path_factory, cache):
    arguments = {
        "batch_size": 6,
        "image_size": 16,
        "cache": cache,
        "cache_dir": tmp_path_factory.mktemp("cache"),
    }
    spec = f"folder:{scans}"
    (crops,) = data.load(spec, channels=1, **arguments)
    assert crops.shape == (6, 2, 16, 16, 1)
    (rgb,) = data.load(spec, **arguments)
    np.testing.assert_array_equal(crops[..., 0], rgb[..., 1])
    evaluation = {**arguments, "training": False, "crop_proportion": 1.0}
    (whole,) = data.load(spec, channels=1, **evaluation)
    np.testing.assert_allclose(whole[..., 0] * 255, GREY, atol=1e-3)


def test_an_image_of_other_channels_is_named(scans):
    (scans / "color.png").write_bytes(_png(np.zeros((9, 9, 3), np.uint8)))
    message = "channels=1 .*color.png, which has 3 channels"
    with pytest.raises(ValueError, match=message):
        data.open_source(f"folder:{scans}", channels=1)
    with pytest.warns(UserWarning, match="1 of 7 images cannot be decoded"):
        source = data.open_source(
            f"folder:{scans}", channels=1, skip_corrupt=True
        )
    assert source.num_examples == 6


def test_an_image_beyond_the_sample_is_named_by_the_batch(scans, monkeypatch):
    from simclr_keras.data import pixel_depth

    (scans / "color.png").write_bytes(_png(np.zeros((9, 9, 3), np.uint8)))
    monkeypatch.setattr(pixel_depth, "_SAMPLE", 1)
    batches = data.load(
        f"folder:{scans}",
        channels=1,
        batch_size=7,
        image_size=16,
        training=False,
    )
    message = "color.png: it has 3 channels, and channels=1 is stated"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(batches)


def test_a_folder_is_sampled_once(scans, monkeypatch):
    """For channels and bits together: every file is opened one time."""
    from simclr_keras.data import pixel_depth

    as_path, opened = pixel_depth.paths.as_path, []

    def counted(path):
        opened.append(path)
        return as_path(path)

    paths = types.SimpleNamespace(as_path=counted)
    monkeypatch.setattr(pixel_depth, "paths", paths)
    source = data.open_source(f"folder:{scans}", channels=1)
    assert opened == source.files.tolist()


def test_shards_of_grey_images(scans, tmp_path_factory):
    """Read like the folder; the records say no channels beforehand."""
    output = tmp_path_factory.mktemp("shards")
    with tf.io.TFRecordWriter(str(output / "train-0")) as writer:
        for path in sorted(scans.iterdir()):
            value = tf.train.BytesList(value=[path.read_bytes()])
            feature = {"image/encoded": tf.train.Feature(bytes_list=value)}
            features = tf.train.Features(feature=feature)
            example = tf.train.Example(features=features)
            writer.write(example.SerializeToString())
    spec = f"tfrecord:{output}/{{split}}-*"
    batches = data.load(
        spec,
        channels=1,
        batch_size=6,
        image_size=16,
        training=False,
        crop_proportion=1.0,
    )
    (found,) = batches
    np.testing.assert_allclose(found[..., 0] * 255, GREY, atol=1e-3)
    with pytest.raises(ValueError, match="channels=3 .*which has 1 channel$"):
        data.open_source(spec, channels=3)


def test_tiff_without_tifffile_is_an_error_at_once(tmp_path, monkeypatch):
    (tmp_path / "a.tif").write_bytes(tiff.SIGNATURES[0] + bytes(20))
    original = builtins.__import__

    def without(name, *arguments, **more):
        if name == "tifffile":
            raise ImportError("No module named 'tifffile'")
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="install the extra tiff"):
        data.open_source(f"folder:{tmp_path}", channels=13)
    with pytest.raises(ValueError, match="1 .tif; convert.*--channels=3"):
        data.open_source(f"folder:{tmp_path}")


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_a_folder_of_tiff(tmp_path, cache):
    tifffile = pytest.importorskip("tifffile")
    how = {"photometric": "minisblack", "planarconfig": "contig"}
    for number, image in enumerate(BANDS):
        folder = tmp_path / f"class {number % 2}"
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(folder / f"{number}.TIF", image, **how)
    spec = f"folder:{tmp_path}"
    with pytest.raises(ValueError, match="--pixel_range=0,16383"):
        data.open_source(spec, channels=13)
    with pytest.raises(ValueError, match="which has 13 channels"):
        data.open_source(spec, channels=4)
    source = data.open_source(spec, channels=13, pixel_range=RANGE)
    assert source.class_names == ("class 0", "class 1")
    source = data.cached(source, cache)
    batches = data.make_dataset(
        source, batch_size=8, image_size=16, training=False
    )
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    found = np.asarray(next(iter(batches))) * 255
    np.testing.assert_allclose(found, SCALED[order], atol=1e-3)
    crops = data.make_dataset(source, batch_size=4, image_size=8, training=True)
    assert next(iter(crops)).shape == (4, 2, 8, 8, 13)


tfds = pytest.importorskip("tensorflow_datasets")


class EightScenes(tfds.core.GeneratorBasedBuilder):
    """Eight images of 13 bands as tensors, as EuroSAT's `all` has them."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None

    def _info(self):
        shape, kind = BANDS.shape[1:], np.float32
        features = {
            "sentinel2": tfds.features.Tensor(shape=shape, dtype=kind),
            "label": tfds.features.ClassLabel(names=["a", "b"]),
            "filename": tfds.features.Text(),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number, image in enumerate(BANDS.astype(np.float32)):
            yield (
                number,
                {
                    "sentinel2": image,
                    "label": int(image[0, 0, 0]) % 2,
                    "filename": f"{number}.tif",
                },
            )


class SixScans(tfds.core.GeneratorBasedBuilder):
    """Six grey images, of an Image feature."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None

    def _info(self):
        image = tfds.features.Image(shape=(16, 16, 1))
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": image})
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number, image in enumerate(GREY):
            yield number, {"image": io.BytesIO(_png(image))}


@pytest.fixture(scope="module")
def tfds_dir(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("tfds"))
    EightScenes(data_dir=root).download_and_prepare()
    SixScans(data_dir=root).download_and_prepare()
    return root


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_tensors_of_tfds(tfds_dir, memory_limit):
    source = data.open_source(
        "eight_scenes",
        data_dir=tfds_dir,
        channels=13,
        pixel_range=RANGE,
        memory_limit=memory_limit,
    )
    assert source.image_shape == (16, 16, 13)
    assert (source.images is None) == (memory_limit == 0)
    batches = data.make_dataset(
        source, batch_size=4, training=False, labelled=True
    )
    images, labels = (np.concatenate(x) for x in zip(*batches))
    # TFDS shuffles what it writes.
    order = [
        int(np.flatnonzero((SCALED == image).all(axis=(1, 2, 3)))[0])
        for image in images
    ]
    assert sorted(order) == list(range(8))
    np.testing.assert_array_equal(labels, BANDS[order, 0, 0, 0] % 2)
    np.testing.assert_array_equal(data.read_labels(source), labels)
    shuffled = data.make_dataset(source, batch_size=4, training=True)
    assert next(iter(shuffled)).shape == (4, 16, 16, 13)
    assert data.keep_some(source, 4, seed=0).num_examples == 4


def test_tensors_of_tfds_that_are_refused(tfds_dir):
    def open_source(**arguments):
        data.open_source("eight_scenes", data_dir=tfds_dir, **arguments)

    with pytest.raises(ValueError, match="Image feature.*--channels=13"):
        open_source()
    message = "feature 'sentinel2' of 'eight_scenes', which has 13"
    with pytest.raises(ValueError, match=message):
        open_source(channels=4)
    with pytest.raises(ValueError, match="pixel_range.*float32"):
        open_source(channels=13)


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_an_image_feature_of_tfds(tfds_dir, memory_limit):
    options = {"data_dir": tfds_dir, "memory_limit": memory_limit}
    source = data.open_source("six_scans", channels=1, **options)
    assert source.image_shape == (16, 16, 1)
    (found,) = data.make_dataset(source, batch_size=6, training=False)
    found = np.asarray(found)[..., 0]
    # TFDS shuffles what it writes.
    assert sorted(map(bytes, found)) == sorted(map(bytes, GREY))
    with pytest.raises(ValueError, match="channels=4 .*which has 1 channel$"):
        data.open_source("six_scans", channels=4, **options)
