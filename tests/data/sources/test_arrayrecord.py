"""ArrayRecord shards: read like TFRecord shards of the same records."""

import pathlib
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras.data.sources import arrayrecord_format

pytest.importorskip("array_record")
sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "tools"))

import packing

IMAGE, LABEL = "image/encoded", "image/class/label"


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Pictures in TFRecord shards, and in ArrayRecord shards."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(30):
        split = "train" if number < 25 else "test"
        path = root / "in" / split / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (20 + number, 30, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(path)
    for kind in ("tfrecord", "arrayrecord"):
        packing.pack(root / "in", root / kind, 12_000, kind=kind)
    assert len(list((root / "arrayrecord").glob("train-*"))) > 3
    return [f"{x}:{root}/{x}/{{split}}-*" for x in ("tfrecord", "arrayrecord")]


def batches(spec, seek=(0, 0), split="train", **options):
    options = {"image_size": 8, "batch_size": 4, "seed": 3, **options}
    dataset = data.load(spec, split=split, labelled=True, **options)
    dataset.seek(*seek)
    return [(x.numpy(), y.numpy()) for x, y in dataset]


def assert_same(left, right):
    assert len(left) == len(right) > 0
    for one, other in zip(left, right):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_the_batches_are_those_of_tfrecord(shards):
    """Of a later epoch, of a slice and in evaluation; and from the middle."""
    tfrecord, arrayrecord = shards
    whole = batches(arrayrecord, (2, 0))
    assert_same(whole, batches(tfrecord, (2, 0)))
    assert_same(batches(arrayrecord, (2, 4)), whole[4:])
    for options in (
        {"split": "test", "training": False},
        {"split": "train[:60%]", "channels": 3},
    ):
        assert_same(
            batches(arrayrecord, **options), batches(tfrecord, **options)
        )


@pytest.mark.newest
def test_names_and_parts_are_those_of_tfrecord(shards):
    sources = [data.open_source(spec, "train[40%:]") for spec in shards]
    ours = sources[1]
    np.testing.assert_array_equal(ours.positions, sources[0].positions)
    assert ours.class_names == ("a", "b")
    assert "shards; classes a, b" in ours.summary()
    assert [x.replace("tfrecord", "arrayrecord") for x in sources[0].ids] == (
        ours.ids
    )
    dataset = data.load(shards[1], image_size=8, batch_size=4)
    whole = next(iter(dataset)).numpy()
    for part in range(2):
        dataset.seek(0)
        rows = next(iter(dataset.endless((part, 2)))).numpy()
        np.testing.assert_array_equal(rows, whole[2 * part : 2 * part + 2])


def encoded(value):
    """A picture as PNG, which ends with zeros that NumPy might drop."""
    image = tf.io.encode_png(np.full((9, 9, 3), value, np.uint8)).numpy()
    return image + b"\0\0"


def example(**features):
    """A record of features with a byte string or an integer."""
    feature = {}
    for name, value in features.items():
        if isinstance(value, bytes):
            kind = {"bytes_list": tf.train.BytesList(value=[value])}
        else:
            kind = {"int64_list": tf.train.Int64List(value=[value])}
        feature[name] = tf.train.Feature(**kind)
    features = tf.train.Features(feature=feature)
    return tf.train.Example(features=features).SerializeToString()


def write(path, records):
    writer = arrayrecord_format.writer(str(path))
    for record in records:
        writer.write(record)
    writer.close()


def opened(tmp_path, **options):
    return data.open_source(f"arrayrecord:{tmp_path}/*", **options)


@pytest.mark.newest
def test_features_as_tfds_names_them(tmp_path):
    """More records than are read at once for their labels."""
    numbers = [(7 * k) % 5 for k in range(50)]
    rows = [example(image=encoded(k), label=n) for k, n in enumerate(numbers)]
    write(tmp_path / "1", rows[:20])
    write(tmp_path / "2", [])
    write(tmp_path / "3", rows[20:])
    options = {"feature_image": "image", "feature_label": "label"}
    source = opened(tmp_path, **options)
    np.testing.assert_array_equal(source.labels, numbers)
    assert source.ids[19:21] == [f"{tmp_path}/1#19", f"{tmp_path}/3#0"]
    dataset = data.make_dataset(
        source, batch_size=50, image_size=8, training=False
    )
    red = next(iter(dataset))[:, 0, 0, 0]
    np.testing.assert_allclose(255 * red, range(50), rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match="--feature_image.*are: image, label"):
        opened(tmp_path)
    options["feature_label"] = "image"
    with pytest.raises(ValueError, match="--feature_label.*0 integers"):
        opened(tmp_path, **options)


@pytest.mark.newest
def test_without_labels_only_the_first_record_is_read(tmp_path):
    """The second one, no tf.train.Example, is noticed when it is used."""
    write(tmp_path / "1", [example(image=encoded(0)), b"other", b"other"])
    source = opened(tmp_path, feature_image="image")
    assert not source.has_labels and source.num_examples == 3
    with pytest.warns(UserWarning, match="2 of 3 images"):
        source = opened(tmp_path, feature_image="image", skip_corrupt=True)
    assert source.num_examples == 1


@pytest.mark.newest
def test_damage_is_named(tmp_path):
    rng = np.random.default_rng(0)
    images = [encoded(0)] + [rng.bytes(1000) for _ in range(3)]
    write(tmp_path / "1", [example(image=x, label=0) for x in images])
    whole = (tmp_path / "1").read_bytes()
    changed = bytearray(whole)
    changed[whole.index(images[2]) + 500] ^= 1
    (tmp_path / "1").write_bytes(changed)
    with pytest.raises(ValueError, match="can be read.*/1#1 to 3'.*hash"):
        opened(tmp_path, feature_image="image", feature_label="label")
    options = {"image_size": 8, "batch_size": 1, "training": False}
    spec = f"arrayrecord:{tmp_path}/1"
    dataset = data.load(spec, feature_image="image", **options)
    images = iter(dataset)
    next(images)
    with pytest.raises(tf.errors.OpError, match="/1#1: its first bytes"):
        next(images)
    dataset.seek(0, 2)
    with pytest.raises(
        tf.errors.OpError, match="/1#2: the record cannot be read .*hash"
    ):
        next(iter(dataset))
    for content in (whole[:-5], whole[: len(whole) // 2], b"no records", b""):
        (tmp_path / "1").write_bytes(content)
        with pytest.raises(ValueError, match="must be whole.*/1'"):
            opened(tmp_path)


@pytest.mark.newest
def test_where_files_cannot_be_read(tmp_path, monkeypatch):
    tf.io.gfile.makedirs("ram://arrayrecord")
    with tf.io.gfile.GFile("ram://arrayrecord/1", "w") as file:
        file.write("x")
    with pytest.raises(ValueError, match="local, or on gs://.*ram://"):
        data.open_source("arrayrecord:ram://arrayrecord/*")
    with pytest.raises(ValueError, match="arrayrecord:/data/{split}-.*no file"):
        opened(tmp_path)
    write(tmp_path / "1", [example(image=encoded(0))])
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    with pytest.raises(ImportError, match="extra arrayrecord"):
        opened(tmp_path)
