"""Images as evaluation sees them, and some of them to look at."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras import images

pytestmark = pytest.mark.newest


@pytest.mark.parametrize("size", [32, 24])
def test_they_are_what_the_crop_of_an_export_makes(size):
    """Of the size of the images, they are left as they are."""
    source = data.open_source("shapes", "test[:6]")
    batches = list(data.evaluation_images(source, size, 4))
    assert [len(batch) for batch, _ in batches] == [4, 2]
    assert (batches[0][0].dtype == "uint8") == (size == 32)
    expected = images.CenterCrop(size)(source.images)
    found = np.concatenate([np.asarray(batch) for batch, _ in batches])
    if size == 32:
        found = found / np.float32(255)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    labels = np.concatenate([labels for _, labels in batches])
    np.testing.assert_array_equal(labels, source.labels)


def test_rows_may_stand_in_any_order_and_several_times():
    source = data.open_source("shapes", "test[:6]")
    rows = np.array([[5, 0], [0, 3]])
    found = data.read_images(source, rows, 32, batch_size=2)
    np.testing.assert_array_equal(found, source.images[rows])


@pytest.mark.parametrize(
    ("shape", "size"),
    [((32, 32), 32), ((64, 64), 64), ((65, 65), 224), ((32, 48), 224)],
)
def test_size_of_a_network_for_images(shape, size):
    """Their own, up to 64 pixels."""
    array = np.zeros((2, *shape, 3), np.uint8)
    assert data.default_size(data.open_source(array)) == size


@pytest.mark.parametrize(
    ("sides", "size"),
    [((32, 32), 32), ((64,), 64), ((65,), 224), ((32, 48), 224)],
)
def test_size_of_a_network_for_files(tmp_path, sides, size):
    for number, side in enumerate(sides):
        picture = PIL.Image.new("RGB", (side, side))
        picture.save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    source = data.open_source(f"folder:{tmp_path}")
    assert data.default_size(source) == size


def test_size_of_a_network_for_shards(tmp_path):
    picture = PIL.Image.new("RGB", (32, 32))
    path = tmp_path / "train-0"
    for size, expected in (((32, 32), 32), ((32, 24), 224)):
        contents = io.BytesIO()
        picture.resize(size).save(contents, "JPEG")
        feature = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[contents.getvalue()])
        )
        features = tf.train.Features(feature={"image/encoded": feature})
        with tf.io.TFRecordWriter(str(path)) as file:
            file.write(tf.train.Example(features=features).SerializeToString())
        source = data.open_source(f"tfrecord:{path}")
        assert data.default_size(source) == expected
