"""Images in files of NumPy, under the names that people give them."""

import numpy as np
import pytest

from simclr_keras import data

pytestmark = pytest.mark.newest
RNG = np.random.default_rng(0)
TRAIN = RNG.integers(0, 256, (6, 8, 8, 3), np.uint8)
TEST = RNG.integers(0, 256, (4, 8, 8, 3), np.uint8)


def _open(path, split="train", **options):
    return data.open_source(f"arrays:{path}", split, **options)


def test_images_alone(tmp_path):
    np.save(tmp_path / "photos.npy", TRAIN)
    source = _open(tmp_path / "photos.npy", "train[2:]", split_order="position")
    np.testing.assert_array_equal(source.images, TRAIN[2:])
    assert not source.has_labels
    assert source.ids[0] == f"arrays:{tmp_path}/photos.npy:train#2"


@pytest.mark.parametrize(
    "images, labels",
    [("x_{}", "y_{}"), ("{}_images", "{}_labels"), ("x_{}", "{}_labels")],
)
def test_splits(tmp_path, images, labels):
    """The test split has a class that the training split lacks."""
    np.savez(
        tmp_path / "a.npz",
        **{
            images.format("train"): TRAIN,
            labels.format("train"): np.arange(6) % 3,
            images.format("test"): TEST,
            labels.format("test"): np.array([[0], [4], [1], [2]], np.uint8),
        },
    )
    train, test = (_open(tmp_path / "a.npz", s) for s in ("train", "test"))
    np.testing.assert_array_equal(train.images, TRAIN)
    np.testing.assert_array_equal(train.labels, np.arange(6) % 3)
    np.testing.assert_array_equal(test.images, TEST)
    np.testing.assert_array_equal(test.labels, [0, 4, 1, 2])
    assert train.class_names == test.class_names == tuple("01234")
    assert train.origin != test.origin


def test_one_split_without_a_name(tmp_path):
    np.savez(tmp_path / "a.npz", images=TRAIN / 255, labels=np.arange(6))
    source = _open(tmp_path / "a.npz")
    np.testing.assert_array_equal(source.labels, np.arange(6))
    np.savez(tmp_path / "b.npz", images=TRAIN[..., 0], other=np.zeros(1))
    source = _open(tmp_path / "b.npz")
    assert source.image_shape == (8, 8, 3) and not source.has_labels


def test_labels_are_those_of_their_own_images(tmp_path):
    arrays = {"images": TRAIN[:4], "labels": np.arange(4), "test_images": TEST}
    np.savez(tmp_path / "a.npz", **arrays)
    assert _open(tmp_path / "a.npz").has_labels
    assert not _open(tmp_path / "a.npz", "test").has_labels


@pytest.mark.parametrize(
    "content, split, message",
    [
        ({"other": TRAIN}, "train", "must hold `images`.* has other"),
        ({}, "train", "has nothing"),
        ({"x_train": TRAIN}, "test", "one that .* has: train"),
        ({"images": np.zeros(3)}, "train", "must be an array"),
        (
            {"images": TRAIN, "x_train": TRAIN},
            "train",
            "images of train under one name, and has images and x_train",
        ),
        (
            {"x_train": TRAIN, "y_train": [0], "train_labels": [0]},
            "train",
            "labels of train under one name.*y_train and train_labels",
        ),
        ({"images": np.array([{}])}, "train", "pickle"),
        (
            {"images": TRAIN, "labels": np.zeros(5, int)},
            "train",
            "6, one for each",
        ),
    ],
)
def test_what_is_not_there(tmp_path, content, split, message):
    path = tmp_path / "a.npz"
    np.savez(path, **content)
    with pytest.raises(ValueError, match=message) as error:
        _open(path, split)
    assert str(path) in str(error.value)


def test_arrays_under_other_names_are_counted(tmp_path):
    """Labels called `y` were passed over without a word."""
    np.savez(tmp_path / "a.npz", images=TRAIN, y=np.zeros(6), ids=np.arange(6))
    source = _open(tmp_path / "a.npz")
    assert source.left_out == (("array y", 1), ("array ids", 1))
    assert source.summary().endswith(
        "6 images; no labels; left out: 1 array y, 1 array ids"
    )


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_files(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(ValueError, match="existing .npy or .npz file"):
        _open(path)
    for content in (b"", b"text", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a file of images"):
            _open(path)
    save = {"a.npy": np.save, "a.npz": np.savez}[name]
    with open(path, "wb") as file:
        save(file, TRAIN)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="a file of images"):
        _open(path)


def test_another_kind_of_file(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ValueError, match="existing .npy or .npz file"):
        _open(tmp_path / "a.txt")
