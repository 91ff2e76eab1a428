"""Slices of folders and arrays: balanced, disjoint, and the rest of each."""

import numpy as np
import PIL.Image
import pytest

from simclr_keras import data
from simclr_keras.data.sources import slices

# Class sizes, all equal and all different; and no labels at all.
EQUAL = np.repeat(np.arange(5), 8)
UNEQUAL = np.repeat(np.arange(6), [3, 7, 20, 40, 100, 300])


def arrays(labels, count=None):
    """Images that are their row's number, sorted by class as in a folder."""
    count = len(labels) if count is None else count
    images = np.zeros((count, 2, 2, 3), np.uint8)
    return images if labels is None else (images, labels)


def rows(spec, split, **options):
    return data.open_source(spec, split, **options).positions.tolist()


@pytest.mark.parametrize("labels, count", [(EQUAL, 40), (None, 57)])
@pytest.mark.parametrize(
    "parts",
    [
        ["train[:80%]", "train[80%:]"],
        ["train[:10%]", "train[10%:33%]", "train[33%:]"],
        ["train[:7]", "train[7:9]", "train[9:]"],
        ["train[:-5]", "train[-5:]"],
    ],
)
def test_slices_that_meet_are_complements(labels, count, parts):
    """Every row is in one of them, and the order of each is the source's."""
    found = [rows(arrays(labels, count), part) for part in parts]
    assert sorted(sum(found, [])) == list(range(count))
    assert all(each == sorted(each) for each in found)


def test_a_slice_holds_its_slices():
    outer = rows(arrays(UNEQUAL), "train[10%:80%]")
    inner = rows(arrays(UNEQUAL), "train[20%:50%]")
    assert set(inner) < set(outer)


def test_each_class_gives_its_share():
    """Of 8 images of each class 80 % are 6.4, and 20 % are 1.6."""
    for part, allowed in (("[:80%]", {6, 7}), ("[80%:]", {1, 2})):
        source = data.open_source(arrays(EQUAL), f"train{part}")
        counts = np.bincount(source.labels, minlength=5)
        assert set(counts) <= allowed
        assert counts.sum() == source.num_examples


@pytest.mark.parametrize("low, high", [(0, 80), (80, 100), (30, 60), (0, 50)])
def test_unequal_classes_keep_their_proportions(low, high):
    """To within one image and the rounding of the boundaries."""
    source = data.open_source(arrays(UNEQUAL), f"train[{low}%:{high}%]")
    expected = np.bincount(UNEQUAL) * (high - low) / 100
    counts = np.bincount(source.labels, minlength=6)
    assert np.abs(counts - expected).max() < 2


def test_small_classes_are_spread_over_the_split():
    """Of 100 classes of 2 images beside one of 10,000, 20 % are 40 images."""
    labels = np.repeat(np.arange(101), [2] * 100 + [10_000])
    shuffled = slices.shuffled_rows(len(labels), labels)
    last = labels[shuffled[-len(labels) // 5 :]]
    assert abs((last < 100).sum() - 40) <= 2


def test_the_same_part_for_every_seed_of_a_run():
    """Or one run would be tested on what another was trained on."""
    spec = arrays(EQUAL)
    first = rows(spec, "train[:50%]", seed=0)
    assert rows(spec, "train[:50%]", seed=5) == first
    assert first != list(range(20))


def test_slices_by_position_where_asked_for():
    spec = arrays(EQUAL)
    assert rows(spec, "train[:50%]", split_order="position") == list(range(20))
    with pytest.raises(ValueError, match="shuffled, position. Received: .*'x'"):
        rows(spec, "train[:50%]", split_order="x")


def test_whole_splits_and_shapes_are_as_before():
    assert rows(arrays(EQUAL), "train") == list(range(40))
    assert rows("shapes", "train[10:20]") == list(range(10, 20))


def test_a_sliced_folder_has_all_its_classes(tmp_path):
    """Five classes of eight images: by position the last would be tested."""
    for name in "abcde":
        (tmp_path / name).mkdir()
        for k in range(8):
            PIL.Image.new("RGB", (4, 4)).save(tmp_path / name / f"{k}.png")
    train, test = (
        data.open_source(f"folder:{tmp_path}", split)
        for split in ("train[:80%]", "train[80%:]")
    )
    assert set(np.bincount(train.labels)) <= {6, 7}
    assert set(np.bincount(test.labels)) <= {1, 2}
    assert train.class_names == test.class_names == tuple("abcde")
    assert not set(train.ids) & set(test.ids)
    assert len(train.ids) + len(test.ids) == 40


def test_a_sliced_file_of_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", images=arrays(EQUAL)[0], labels=EQUAL)
    spec = f"arrays:{tmp_path}/a.npz"
    assert rows(spec, "train[:80%]") == rows(arrays(EQUAL), "train[:80%]")
    assert rows(spec, "train[:2]", split_order="position") == [0, 1]


def test_the_permutation_stays_what_it_was():
    """A later release must not exchange the halves of an existing run.

    The numbers were written down when this order was introduced.
    """
    assert slices.shuffled_rows(8).tolist() == [4, 1, 7, 3, 5, 6, 0, 2]
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    assert slices.shuffled_rows(8, labels).tolist() == [1, 4, 3, 7, 0, 5, 2, 6]
