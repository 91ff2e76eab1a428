"""TFDS data sets: in memory, streamed from record files, and what is wrong."""

import io
import pathlib
import uuid

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras import paths

tfds = pytest.importorskip("tensorflow_datasets")

COUNT, CLASSES = 60, 3


def picture(k):
    """JPEG of its own size, filled with a grey that says its number."""
    file = io.BytesIO()
    image = PIL.Image.new("RGB", (30 + k % 7, 30 + k % 5), (4 * k,) * 3)
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


class MixedPhotos(tfds.core.GeneratorBasedBuilder):
    """Sixty photographs of many sizes in five record files."""

    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = None

    def _info(self):
        names = ["cat", "dog", "eel"]
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(names=names),
                    "file_name": tfds.features.Text(),
                }
            )
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(COUNT),
            "test": self._generate_examples(6),
            "broken": self._generate_examples(8, broken=3),
        }

    def _generate_examples(self, count, broken=None):
        for k in range(count):
            yield (
                k,
                {
                    "image": io.BytesIO(
                        picture(k)[: 200 if k == broken else None]
                    ),
                    "label": k % CLASSES,
                    "file_name": str(k),
                },
            )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("tfds"))
    builder = MixedPhotos(data_dir=root)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=5)
    )
    return root


def opened(data_dir, split="train", streamed=True, **options):
    limit = 0 if streamed else 2**30
    return data.open_source(
        "mixed_photos", split, data_dir=data_dir, memory_limit=limit, **options
    )


def numbers(images):
    """Which picture it is, from its grey: JPEG is off by less than two."""
    greys = images.numpy().reshape(len(images), -1).mean(axis=1)
    return np.round(greys / 4).astype(int).tolist()


def in_order(source):
    dataset = data.make_dataset(
        source, batch_size=7, image_size=8, training=False, labelled=True
    )
    # Evaluation has floats in [0, 1].
    got = [(numbers(x * 255.0), y.numpy().tolist()) for x, y in dataset]
    return sum((x for x, _ in got), []), sum((y for _, y in got), [])


def as_tfds_reads(data_dir, split):
    """Numbers by TFDS's own reader, files one after the other."""
    dataset = tfds.load(
        "mixed_photos",
        split=split,
        data_dir=data_dir,
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    return [int(example["file_name"]) for example in tfds.as_numpy(dataset)]


@pytest.mark.newest
@pytest.mark.parametrize(
    "split, streamed",
    [
        ("train", True),
        ("train[25:45]", True),
        ("train[:33%]", False),
        ("train[50:]+test", False),
        pytest.param("train", False, marks=pytest.mark.long),
        pytest.param("test", True, marks=pytest.mark.long),
        pytest.param("test", False, marks=pytest.mark.long),
        pytest.param("train[:33%]", True, marks=pytest.mark.long),
        pytest.param("train[25:45]", False, marks=pytest.mark.long),
        pytest.param("train[50:]+test", True, marks=pytest.mark.long),
    ],
)
def test_the_examples_and_their_order(data_dir, streamed, split):
    source = opened(data_dir, split, streamed)
    assert (source.records is not None) == streamed
    assert source.image_shape is None
    assert source.class_names == ("cat", "dog", "eel")
    expected = as_tfds_reads(data_dir, split)
    assert source.num_examples == len(expected)
    images, labels = in_order(source)
    assert images == expected
    assert labels == [k % CLASSES for k in expected]
    np.testing.assert_array_equal(data.read_labels(source), labels)


def streamed_epochs(data_dir, count, seed=0, buffer=10, first=0):
    dataset = data.make_dataset(
        opened(data_dir),
        batch_size=8,
        image_size=8,
        training=True,
        views=1,
        seed=seed,
        shuffle_buffer=buffer,
    )
    assert len(dataset) == 7
    dataset.seek(first)
    return dataset, [[numbers(x) for x in dataset] for _ in range(count)]


def test_stream_is_a_function_of_seed_and_epoch(data_dir):
    tf.random.set_seed(1)
    dataset, epochs = streamed_epochs(data_dir, 3)
    for epoch in epochs:
        flat = sum(epoch, [])
        assert len(flat) == len(set(flat)) == 56
        assert sorted(flat) != flat
    assert epochs[0] != epochs[1] != epochs[2]
    tf.random.set_seed(2)
    assert streamed_epochs(data_dir, 1, first=2)[1] == epochs[2:]
    assert streamed_epochs(data_dir, 1, seed=1)[1] != epochs[:1]
    rest = data.from_step(dataset, 5)
    dataset.seek(1)
    assert [numbers(x) for x in rest] == epochs[1][5:]


@pytest.mark.newest
def test_files_are_shuffled_too(data_dir):
    """Without a shuffle buffer, epochs still begin with different files."""
    _, epochs = streamed_epochs(data_dir, 4, buffer=1)
    assert len({tuple(epoch[0]) for epoch in epochs}) > 1


@pytest.mark.newest
def test_label_subset_of_a_stream(data_dir):
    """Chosen by one pass over the labels, the same as in memory."""
    stream = data.label_subset(opened(data_dir), 0.2, seed=5)
    memory = data.label_subset(opened(data_dir, streamed=False), 0.2, seed=5)
    np.testing.assert_array_equal(stream.positions, memory.positions)
    assert stream.ids == memory.ids
    images, labels = in_order(stream)
    assert (images, labels) == in_order(memory)
    assert np.bincount(labels).tolist() == [4, 4, 4]


@pytest.mark.newest
def test_a_part_of_a_stream_moves_into_memory(data_dir):
    """A limit between the size of ten records and that of all."""
    source = data.open_source(
        "mixed_photos", data_dir=data_dir, memory_limit=20_000
    )
    assert source.records is not None
    rest, held_out = data.hold_out(source, 10)
    assert rest.records is not None
    assert held_out.records is None
    assert len(held_out.encoded) == 10
    both = in_order(rest)[0] + in_order(held_out)[0]
    assert sorted(both) == list(range(COUNT))


@pytest.mark.newest
def test_a_stream_cannot_be_reordered(data_dir):
    with pytest.raises(ValueError, match="`indices` must increase"):
        opened(data_dir).take([3, 1])


@pytest.mark.newest
def test_images_of_one_size_are_in_memory(cifar10_dir):
    """Pixels against TFDS's own decoder, which may round differently."""
    source = data.open_source("cifar10", "test[:20]", data_dir=cifar10_dir)
    assert source.image_shape == (32, 32, 3)
    assert source.images.shape == (20, 32, 32, 3)
    assert source.class_names[0] == "airplane"
    expected = tfds.load("cifar10", split="test[:20]", data_dir=cifar10_dir)
    for k, example in enumerate(tfds.as_numpy(expected)):
        error = source.images[k].astype(int) - example["image"]
        assert np.abs(error).mean() < 3
        assert source.labels[k] == example["label"]


@pytest.mark.newest
def test_images_of_one_size_streamed(cifar10_dir):
    options = {"data_dir": cifar10_dir, "batch_size": 8}
    memory, stream = (
        data.load(
            "cifar10",
            split="test[:20]",
            training=False,
            memory_limit=limit,
            **options,
        )
        for limit in (2**30, 0)
    )
    for x, y in zip(memory, stream):
        np.testing.assert_array_equal(x, y)
    dataset = data.load("cifar10", split="test[:20]", memory_limit=0, **options)
    assert dataset.element_spec.shape == (8, 32, 32, 3)
    assert len(list(dataset)) == 2


@pytest.mark.newest
@pytest.mark.parametrize("streamed", [True, False])
def test_corrupt_records(data_dir, streamed):
    """A stream knows how many were read, memory which one it is."""
    place = as_tfds_reads(data_dir, "broken").index(3)
    source = opened(data_dir, "broken", streamed)
    name = rf"\({place} read\)" if streamed else f"#{place}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=name):
        in_order(source)
    with pytest.warns(UserWarning, match="1 of 8 images cannot be decoded"):
        source = opened(data_dir, "broken", streamed, skip_corrupt=True)
    assert source.skipped == (f"mixed_photos:broken#{place}",)
    assert sorted(in_order(source)[0]) == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.newest
def test_not_prepared(data_dir):
    message = "'cifar10' must be prepared under .*there is: mixed_photos"
    with pytest.raises(ValueError, match=f"{message}.*download=True"):
        data.open_source("cifar10", data_dir=data_dir)
    with pytest.raises(ValueError, match="there is: nothing"):
        data.open_source("cifar10", data_dir=data_dir + "/nix")


@pytest.mark.newest
@pytest.mark.parametrize("name", ["cifar11", "folder/x", "a b", "../x"])
def test_unknown_names(data_dir, name):
    with pytest.raises(ValueError, match="must be 'shapes', 'folder:/path'"):
        data.open_source(name, data_dir=data_dir)


@pytest.mark.newest
@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("val", "has: broken, test, train; .* Received: 'val'"),
        ("train[", "`split` must be one that mixed_photos has"),
        ("train[60:]", "`split` must leave at least one example"),
    ],
)
def test_wrong_splits(data_dir, split, message):
    with pytest.raises(ValueError, match=message):
        opened(data_dir, split)


@pytest.mark.newest
def test_missing_record_files(data_dir, tmp_path):
    import shutil

    shutil.copytree(data_dir, tmp_path / "copy")
    next((tmp_path / "copy").rglob("*train.tfrecord-00002*")).unlink()
    with pytest.raises(ValueError, match="1 record files .* are missing"):
        opened(str(tmp_path / "copy"))


def test_a_data_dir_with_a_scheme(data_dir):
    """The same examples from `ram://`, of which TFDS itself knows nothing."""
    remote = paths.as_path(f"ram://{uuid.uuid4().hex}/tfds")
    for path in pathlib.Path(data_dir).rglob("*"):
        if path.is_file():
            copy = remote / path.relative_to(data_dir).as_posix()
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    for streamed in (True, False):
        ours = in_order(opened(str(remote), streamed=streamed))
        assert ours == in_order(opened(data_dir, streamed=streamed))
    with pytest.raises(ValueError, match="there is: mixed_photos"):
        data.open_source("cifar10", data_dir=str(remote))
