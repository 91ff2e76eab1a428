"""Arrays, slices, label subsets and held-out rows."""

import numpy as np
import pytest

from simclr_keras import data
from simclr_keras.data.sources import slices

pytestmark = pytest.mark.newest


def labelled(labels):
    images = np.arange(len(labels), dtype=np.uint16)[:, None, None, None]
    images = np.tile(images, (1, 2, 2, 1))
    return data.open_source((images, labels), pixel_range=(0, 65535))


# 10 classes in random order, 60 examples each.
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 60))


@pytest.mark.parametrize(
    ("fraction", "each"),
    # 600 / 10 = 60 per class times the fraction, half up, at least one.
    [(0.001, 1), (0.01, 1), (0.025, 2), (0.1, 6), (0.5, 30), (0.999, 60)],
)
def test_subsets_are_class_balanced(fraction, each):
    subset = data.label_subset(labelled(LABELS), fraction)
    np.testing.assert_array_equal(np.bincount(subset.labels), [each] * 10)
    np.testing.assert_array_equal(subset.labels, LABELS[subset.positions])
    assert np.all(np.diff(subset.positions) > 0)


def test_subsets_are_nested_and_seeded():
    source = labelled(LABELS)
    parts = [
        set(data.label_subset(source, fraction, seed=1).positions)
        for fraction in (0.02, 0.1, 0.3)
    ]
    assert parts[0] < parts[1] < parts[2]
    again = data.label_subset(source, 0.1, seed=1)
    assert set(again.positions) == parts[1]
    # Of 60 examples, 6 expect 0.6 in common per class under another seed.
    other = set(data.label_subset(source, 0.1, seed=2).positions)
    assert len(other & parts[1]) < 20


def test_a_small_class_gives_all_it_has():
    subset = data.label_subset(labelled([0] * 90 + [1] * 4 + [2] * 6), 0.15)
    np.testing.assert_array_equal(np.bincount(subset.labels), [5, 4, 5])


def test_the_whole_is_the_source():
    source = labelled(LABELS)
    assert data.label_subset(source, 1.0) is source


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, "1%", None, np.nan])
def test_wrong_fractions(fraction):
    with pytest.raises(ValueError, match=r"in \(0, 1\]. Received: fraction="):
        data.label_subset(labelled(LABELS), fraction)


def test_subset_without_labels():
    source = data.open_source(np.zeros((4, 2, 2, 3), np.uint8))
    with pytest.raises(
        ValueError, match="Labels are needed: .*Received: arrays train"
    ):
        data.label_subset(source, 0.5)


@pytest.mark.parametrize(("size", "held"), [(60, 60), (0.25, 150)])
def test_hold_out_divides(size, held):
    rest, held_out = data.hold_out(labelled(LABELS), size, seed=3)
    assert held_out.num_examples == held
    both = np.concatenate([rest.positions, held_out.positions])
    np.testing.assert_array_equal(np.sort(both), np.arange(600))
    _, again = data.hold_out(labelled(LABELS), size, seed=3)
    np.testing.assert_array_equal(again.positions, held_out.positions)
    _, other = data.hold_out(labelled(LABELS), size, seed=4)
    assert set(other.positions) != set(held_out.positions)


@pytest.mark.parametrize("size", [0, 600, 0.0, 1.0, -3, np.nan])
def test_hold_out_leaves_no_part_empty(size):
    with pytest.raises(ValueError, match="`size` must leave both.*600"):
        data.hold_out(labelled(LABELS), size)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    # What `tfds.core.ReadInstruction.to_absolute` gives for 1,003 examples.
    [
        (None, None, (0, 1003)),
        ("10", "20", (10, 20)),
        ("-10", None, (993, 1003)),
        (None, "5000", (0, 1003)),
        (None, "90%", (0, 903)),
        ("90%", None, (903, 1003)),
        ("-25%", "-1%", (752, 993)),
        ("33%", "66%", (331, 662)),
    ],
)
def test_slices_count_as_tfds_does(low, high, expected):
    rows = slices.slice_rows(1003, low, high)
    assert (rows[0], rows[-1] + 1) == expected
    assert len(rows) == expected[1] - expected[0]


def test_slices_against_tfds():
    read = pytest.importorskip("tensorflow_datasets").core.ReadInstruction
    for count in (15, 1003, 50_000):
        for text in ("10%:", ":50%", "-25%:-1%", "7:-3", "1%:99%", "30%:31%"):
            (absolute,) = read.from_spec(f"train[{text}]").to_absolute(
                {"train": _split(count)}
            )
            rows = slices.slice_rows(
                count, *slices.parse_split(f"t[{text}]")[1:]
            )
            expected = np.arange(count)[absolute.from_ : absolute.to]
            np.testing.assert_array_equal(rows, expected)


def _split(count):
    from tensorflow_datasets.core import splits

    return splits.SplitInfo(
        name="train", shard_lengths=[count], num_bytes=0, filename_template=None
    )


def test_grey_floats_become_uint8_rgb():
    images = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 2, 2)
    source = data.open_source(images, "train[1:]", split_order="position")
    expected = np.repeat(np.round(images[1:, ..., None] * 255), 3, axis=-1)
    np.testing.assert_array_equal(source.images, expected)
    assert source.image_shape == (2, 2, 3)
    assert source.num_classes is None


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((4, 2, 2, 5), np.uint8),
        np.zeros((4, 2), np.uint8),
        np.zeros((0, 2, 2, 3), np.uint8),
        np.full((4, 2, 2, 3), 255.0),
        np.full((4, 2, 2, 3), np.nan),
        np.zeros((4, 2, 2, 3), np.int64),
    ],
)
def test_wrong_arrays(images):
    with pytest.raises(
        ValueError, match="Images of arrays must be .*Received: "
    ):
        data.open_source(images)


def test_a_label_for_each_image():
    with pytest.raises(
        ValueError, match="Labels of arrays must be 4, .*Received: 2"
    ):
        data.open_source((np.zeros((4, 2, 2, 3), np.uint8), [0, 1]))


@pytest.mark.parametrize("indices", [[], [-1], [600]])
def test_take_checks_its_indices(indices):
    with pytest.raises(ValueError, match=r"`indices` .*\[0, 600\)"):
        labelled(LABELS).take(indices)
