"""Labels as people have them become the numbers of classes, with names."""

import numpy as np
import pytest

from simclr_keras import data

SHAPE = (2, 2, 3)


def opened(labels, class_names=None, count=None):
    images = np.zeros((count or len(labels), *SHAPE), np.uint8)
    spec = (images, labels) + ((class_names,) if class_names else ())
    return data.open_source(spec)


@pytest.mark.parametrize(
    "labels, names, numbers",
    [
        (["cat", "dog", "cat"], ("cat", "dog"), [0, 1, 0]),
        ([b"cat", b"dog", b"cat"], ("cat", "dog"), [0, 1, 0]),
        (np.array(["b", "a"], object), ("a", "b"), [1, 0]),
        ([-1, 1, -1, 1], ("-1", "1"), [0, 1, 0, 1]),
        ([20_000_000, 20_000_007, 20_000_000], None, [0, 1, 0]),
        ([2**40, 5], ("5", str(2**40)), [1, 0]),
        (np.array([2**64 - 1, 0], np.uint64), ("0", str(2**64 - 1)), [1, 0]),
        ([0.5, 1.5, 0.5, 1.5], ("0.5", "1.5"), [0, 1, 0, 1]),
        (np.float32([0.1, 0.2, 0.1, 0.2]), ("0.1", "0.2"), [0, 1, 0, 1]),
        ([1e300, 2.0, 1e300, 2.0], ("2.0", "1e+300"), [1, 0, 1, 0]),
    ],
)
def test_distinct_values_are_the_classes(labels, names, numbers):
    with pytest.warns(UserWarning, match="numbered by their 2 distinct values"):
        source = opened(labels)
    assert source.labels.tolist() == numbers
    assert source.labels.dtype == np.int64
    assert source.class_names == (names or ("20000000", "20000007"))


@pytest.mark.parametrize(
    "labels, count",
    [
        ([0, 1, 2, 0], 3),
        ([0.0, 2.0, 1.0], 3),
        ([True, False, True], 2),
        (np.array([[2], [0], [1]], np.uint8), 3),
        # A part of a set of ten classes, opened alone.
        ([3, 5, 9], 10),
        ([998, 0], 999),
    ],
)
@pytest.mark.filterwarnings("error")
def test_integers_from_0_stay_as_they_are(labels, count):
    source = opened(labels)
    assert source.labels.tolist() == np.ravel(labels).astype(int).tolist()
    assert source.class_names == tuple(map(str, range(count)))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_one_hot(dtype):
    source = opened(np.eye(4)[[2, 0, 1]].astype(dtype))
    assert source.labels.tolist() == [2, 0, 1]
    assert source.num_classes == 4


@pytest.mark.parametrize(
    "labels, message",
    [
        ([0.0, np.nan, np.inf], "finite numbers.*nan at 2 of 3.*number 1"),
        (np.ones((3, 2)), "one for each image.*Several labels.*sigmoid"),
        ([[0.3, 0.7], [0.5, 0.5], [1.0, 0.0]], "one-hot"),
        (np.zeros((3, 2, 2)), "shape .3, 2, 2."),
        (np.zeros(3, complex), "dtype complex"),
        ([0.13, 0.77, 0.51], "measurements.*3 different numbers for 3 images"),
        ([{}, {}, {}], "dtype object"),
    ],
)
def test_what_are_no_classes(labels, message):
    with pytest.raises(ValueError, match=f"(?s)Labels must be.*{message}"):
        opened(labels)


@pytest.mark.filterwarnings("error")
def test_named_classes():
    names = ["cat", "dog", "eel"]
    assert opened(["eel", "cat"], names).labels.tolist() == [2, 0]
    source = opened([1, 0], names)
    assert source.labels.tolist() == [1, 0]
    assert source.class_names == tuple(names)
    ids = ["20000000", "20000007"]
    assert opened([20_000_007], ids).labels.tolist() == [1]


@pytest.mark.parametrize(
    "labels, names, message",
    [
        ([0, 3], ["a", "b"], "2 names 'a', 'b' and the labels '0', '3'"),
        (["a", "x"], ["a", "b"], "the labels 'x'"),
        (["a", "b"], ["a", "b", "a"], "all differ"),
    ],
)
def test_classes_without_a_name(labels, names, message):
    with pytest.raises(ValueError, match=f"`class_names` must.*{message}"):
        opened(labels, names)


def write(path, **labels):
    arrays = {f"y_{split}": values for split, values in labels.items()}
    for split, values in labels.items():
        arrays[f"x_{split}"] = np.zeros((len(values), *SHAPE), np.uint8)
    np.savez(path, **arrays)
    return [data.open_source(f"arrays:{path}", split) for split in labels]


@pytest.mark.filterwarnings("error")
def test_splits_of_a_file_share_their_classes(tmp_path):
    """Numbered alone, "dog" would be class 0 of the test split."""
    train, test = write(
        tmp_path / "a.npz", train=["cat", "eel"], test=["dog", "eel"]
    )
    assert train.class_names == test.class_names == ("cat", "dog", "eel")
    assert train.labels.tolist() == [0, 2]
    assert test.labels.tolist() == [1, 2]


def test_identifiers_in_a_file_need_no_memory(tmp_path):
    """2.1 GiB of names for 20,000,000, and no end for 2^40."""
    train, test = write(
        tmp_path / "a.npz", train=[20_000_000, 2**40], test=[2**40]
    )
    assert train.class_names == ("20000000", str(2**40))
    assert train.labels.tolist() == [0, 1] and test.labels.tolist() == [1]


def test_floats_in_one_split_and_integers_in_the_other(tmp_path):
    train, test = write(tmp_path / "a.npz", train=[0.0, 1.0, 2.0], test=[2, 0])
    assert train.labels.tolist() == [0, 1, 2]
    assert test.labels.tolist() == [2, 0]


def test_numbers_in_one_split_and_strings_in_the_other(tmp_path):
    with pytest.raises(ValueError, match="of one kind in all splits"):
        write(tmp_path / "a.npz", train=[0, 1], test=["a", "b"])


def test_nan_in_another_split_is_found(tmp_path):
    with pytest.raises(ValueError, match="a.npz.*finite numbers"):
        write(tmp_path / "a.npz", train=[0, 1], test=[0.0, np.nan])
