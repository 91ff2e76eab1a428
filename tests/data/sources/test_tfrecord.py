"""TFRecord shards: read like the same pictures in a folder, and errors."""

import gzip
import pathlib
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "tools"))

import packing

IMAGE, LABEL = "image/encoded", "image/class/label"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of 22 pictures, and its shards of four or so."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number in range(22):
        split = "train" if number < 17 else "test"
        path = root / "in" / split / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (20 + number, 30, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(path)
    packing.pack(root / "in", root / "out", 8000)
    assert len(list((root / "out").glob("train-*"))) > 3
    return f"folder:{root}/in", f"tfrecord:{root}/out/{{split}}-*"


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


def test_the_batches_are_those_of_the_folder(photographs):
    """Of a later epoch too, bit for bit: pixels, labels and order."""
    folder, shards = photographs
    assert_same(batches(shards, (2, 0)), batches(folder, (2, 0)))
    evaluated = {"split": "test", "training": False}
    assert_same(batches(shards, **evaluated), batches(folder, **evaluated))


def test_an_epoch_goes_on_in_its_middle(photographs):
    """Steps 2 and 3 of four, as 17 images are four batches of four."""
    _, shards = photographs
    whole = batches(shards, (1, 0))
    assert len(whole) == 4
    assert_same(batches(shards, (1, 2)), whole[2:])


@pytest.mark.newest
def test_each_process_reads_its_rows_of_a_batch(photographs):
    _, shards = photographs
    dataset = data.load(shards, image_size=8, batch_size=4)
    whole = next(iter(dataset)).numpy()
    for part in range(2):
        dataset.seek(0)
        rows = next(iter(dataset.endless((part, 2)))).numpy()
        np.testing.assert_array_equal(rows, whole[2 * part : 2 * part + 2])


@pytest.mark.newest
@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_decoded_images_are_the_same(photographs, tmp_path, cache):
    folder, shards = photographs
    source = data.open_source(shards, "train")
    assert data.cached(source, cache, directory=tmp_path / "x").decoded
    kept = batches(shards, cache=cache, cache_dir=tmp_path)
    assert_same(kept, batches(folder))


@pytest.mark.newest
def test_slices_and_subsets_are_those_of_the_folder(photographs):
    folder, shards = (data.open_source(spec, "train") for spec in photographs)
    assert shards.class_names == folder.class_names == ("a", "b")
    assert "shards; classes a, b" in shards.summary()
    for split in ("train[:50%]", "train[50%:]"):
        ours, theirs = (data.open_source(x, split) for x in photographs)
        np.testing.assert_array_equal(ours.positions, theirs.positions)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    ours, theirs = (data.label_subset(x, 0.3, 5) for x in (shards, folder))
    np.testing.assert_array_equal(ours.positions, theirs.positions)
    assert data.num_shared(shards, ours) == ours.num_examples


def encoded(value):
    """A picture as PNG."""
    return tf.io.encode_png(np.full((9, 9, 3), value, np.uint8)).numpy()


def write(path, features, compression=""):
    """Writes a record of each dict of features, bytes or integers."""
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for each in features:
            feature = {
                name: tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[value])
                )
                if isinstance(value, bytes)
                else tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[value])
                )
                for name, value in each.items()
            }
            example = tf.train.Features(feature=feature)
            example = tf.train.Example(features=example)
            writer.write(example.SerializeToString())


def opened(tmp_path, split="train", **options):
    return data.open_source(f"tfrecord:{tmp_path}/*", split, **options)


@pytest.mark.newest
def test_no_labels(tmp_path):
    write(tmp_path / "1", [{IMAGE: encoded(k)} for k in range(3)])
    source = opened(tmp_path)
    assert not source.has_labels and source.num_examples == 3
    assert source.ids == [f"{tmp_path}/1#{k}" for k in range(3)]
    write(tmp_path / "2", [{IMAGE: encoded(9), LABEL: 4}])
    with pytest.warns(UserWarning, match="unlabelled: 3 of 4 images"):
        assert not opened(tmp_path).has_labels
    write(tmp_path / "1", [{IMAGE: encoded(9), LABEL: 0}])
    assert not opened(tmp_path, feature_label="").has_labels


@pytest.mark.newest
def test_other_features_and_numbers_as_classes(tmp_path):
    """Whatever lies beside them, long and short, before and behind."""
    rng = np.random.default_rng(1)
    rows = [
        {f"{n}": rng.bytes(7 ** (n % 7)) for n in rng.permutation(20)}
        | {"picture": encoded(k), "kind": (3 * k) % 5, "z" * 200: b"z"}
        for k in range(6)
    ]
    write(tmp_path / "1", rows)
    options = {"feature_image": "picture", "feature_label": "kind"}
    source = opened(tmp_path, **options)
    np.testing.assert_array_equal(source.labels, [0, 3, 1, 4, 2, 0])
    assert source.class_names == ("0", "1", "2", "3", "4")
    dataset = data.make_dataset(
        source, batch_size=6, image_size=8, training=False
    )
    red = next(iter(dataset))[:, 0, 0, 0]
    np.testing.assert_allclose(255 * red, range(6), rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match="--feature_image.*are: .*picture"):
        opened(tmp_path)
    options["feature_label"] = "picture"
    with pytest.raises(ValueError, match="--feature_label.*0 integers"):
        opened(tmp_path, **options)


@pytest.mark.newest
def test_damaged_shards_are_named(tmp_path):
    write(tmp_path / "1", [{IMAGE: encoded(k), LABEL: k} for k in range(3)])
    whole = (tmp_path / "1").read_bytes()
    second = 16 + int.from_bytes(whole[:8], "little")
    for kept in (second + 3, second + 40, len(whole) - 1):
        (tmp_path / "1").write_bytes(whole[:kept])
        with pytest.raises(ValueError, match="ends within '.*/1', record [12]"):
            opened(tmp_path)
    changed = bytearray(whole)
    changed[second] ^= 1
    (tmp_path / "1").write_bytes(changed)
    with pytest.raises(ValueError, match="checksum .*/1', record 1"):
        opened(tmp_path)
    (tmp_path / "1").write_bytes(gzip.compress(whole))
    with pytest.raises(ValueError, match="not be compressed.*gzip, '.*/1'"):
        opened(tmp_path)
    write(tmp_path / "1", [])
    with pytest.raises(ValueError, match="at least one record.*/1'"):
        opened(tmp_path)


@pytest.mark.newest
def test_a_damaged_image_stops_the_run_by_name(tmp_path):
    """Its record's checksum is wrong, or its content no image."""
    write(tmp_path / "1", [{IMAGE: encoded(k)} for k in range(3)])
    content = bytearray((tmp_path / "1").read_bytes())
    content[-30] ^= 1
    (tmp_path / "1").write_bytes(content)
    write(tmp_path / "2", [{IMAGE: b"no image"}])
    options = {"image_size": 8, "batch_size": 1, "training": False}
    with pytest.raises(tf.errors.OpError, match="/1#2: the record cannot"):
        list(data.load(f"tfrecord:{tmp_path}/1", **options))
    with pytest.raises(tf.errors.OpError, match="/2#0: its first bytes"):
        list(data.load(f"tfrecord:{tmp_path}/2", **options))
    with pytest.warns(UserWarning, match="2 of 4 images"):
        assert opened(tmp_path, skip_corrupt=True).num_examples == 2


@pytest.mark.newest
def test_no_such_files_or_splits(tmp_path):
    with pytest.raises(ValueError, match="no file matches '.*/[*]'"):
        opened(tmp_path)
    write(tmp_path / "val-1", [{IMAGE: encoded(0)}])
    with pytest.raises(ValueError, match="has: train; .*Received: 'test'"):
        opened(tmp_path, "test")
    with pytest.raises(ValueError, match="has: val; .*Received: 'test'"):
        data.open_source(f"tfrecord:{tmp_path}/{{split}}-*", "test")
    with pytest.raises(ValueError, match=f"folder is there: say {tmp_path}/"):
        data.open_source(f"tfrecord:{tmp_path}")


@pytest.mark.newest
def test_a_path_with_a_scheme(tmp_path):
    """TensorFlow's ram:// stands for a bucket."""
    write(tmp_path / "1", [{IMAGE: encoded(k), LABEL: k} for k in range(3)])
    tf.io.gfile.makedirs("ram://shards")
    tf.io.gfile.copy(f"{tmp_path}/1", "ram://shards/train-1", overwrite=True)
    source = data.open_source("tfrecord:ram://shards/{split}-*")
    np.testing.assert_array_equal(source.labels, [0, 1, 2])
    dataset = data.make_dataset(
        source, batch_size=3, image_size=8, training=False
    )
    assert next(iter(dataset)).shape == (3, 8, 8, 3)
