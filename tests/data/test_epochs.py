"""Several epochs as one, for small sets; parts of batches, for processes."""

import itertools
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simclr_keras import data
from simclr_keras import randomness


def _numbers(count, batch_size, seed):
    """Batches of images whose first pixel is their number."""
    images = np.zeros((count, 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return data.load(images, batch_size=batch_size, seed=seed)


def _drawn(dataset):
    return [
        batch[:, 0, 0, 0].tolist()
        for batch in dataset.as_dataset().as_numpy_iterator()
    ]


def test_grouped_epochs_are_the_same_batches_in_the_same_order():
    single, grouped = (_numbers(20, 6, seed=4) for _ in range(2))
    grouped = data.grouped(grouped, 3)
    assert len(grouped) == 9
    expected = [batch for _ in range(6) for batch in _drawn(single)]
    assert expected[:3] != expected[3:6]
    assert [batch for _ in range(2) for batch in _drawn(grouped)] == expected
    grouped.seek(1)
    assert _drawn(data.from_step(grouped, 4)) == expected[13:]


@pytest.mark.newest
def test_a_group_has_at_least_one_epoch():
    with pytest.raises(ValueError, match="`count` must be at least 1"):
        data.grouped(_numbers(4, 2, seed=0), 0)


def _rows(dataset, batches):
    """Arrays that the first batches of a dataset hold."""
    return [
        [x.numpy() for x in tf.nest.flatten(batch)]
        for batch in itertools.islice(dataset, batches)
    ]


def _photographs(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(13):
        pixels = rng.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
    return f"folder:{tmp_path}", {"image_size": 8}


@pytest.mark.newest
@pytest.mark.parametrize(
    "kind, count",
    [
        ("arrays", 3),
        ("photographs", 2),
        ("grouped", 2),
        ("probe", 3),
        pytest.param("photographs", 3, marks=pytest.mark.long),
    ],
)
def test_parts_joined_are_the_batches_of_the_whole(tmp_path, kind, count):
    """From the middle of an epoch on, and into the next one."""
    images = np.arange(26, dtype=np.uint8).reshape(26, 1, 1, 1).repeat(3, 3)
    spec, size = (images, np.arange(26)), {}
    if kind == "photographs":
        spec, size = _photographs(tmp_path)

    def load(**options):
        dataset = data.load(spec, batch_size=6, seed=1, **size, **options)
        if kind == "grouped":
            dataset = data.grouped(dataset, 2)
        if kind == "probe":
            probe = data.load(spec, batch_size=6, labelled=True, seed=2)
            dataset = data.with_probe(dataset, probe)
        return dataset

    whole = load()
    whole.seek(1)
    expected = _rows(whole, whole.steps) + _rows(whole, whole.steps)
    parts, dataset = [], load()
    for index in range(count):
        dataset.seek(1, 1)
        part = dataset.endless((index, count))
        parts.append(_rows(part, len(expected) - 1))
    for batch, *own in zip(expected[1:], *parts):
        for array, *rows in zip(batch, *own):
            assert {len(x) for x in rows} == {6 // count}
            np.testing.assert_array_equal(np.concatenate(rows), array)


@pytest.mark.newest
def test_each_part_reads_its_own_files_only(tmp_path):
    """Those of the other part are gone, and it does not mind."""
    spec, size = _photographs(tmp_path)
    whole = data.load(spec, batch_size=4, seed=1, shuffle_buffer=1, **size)
    source = data.open_source(spec)
    names = source.files[randomness.shuffled(13, 1, 0, randomness.EXAMPLES)]
    part = whole.endless((1, 2))
    for number, name in enumerate(names[:12]):
        if number % 4 < 2:
            pathlib.Path(name).unlink()
    assert len(_rows(part, 3)) == 3
    with pytest.raises(tf.errors.InvalidArgumentError, match="Corrupt image"):
        list(whole)


def test_an_iteration_can_begin_within_an_epoch_once():
    dataset = data.load(np.zeros((20, 2, 2), np.uint8), batch_size=4)
    assert len(list(dataset)) == 5
    dataset.seek(1, 3)
    assert len(list(dataset)) == 2
    assert dataset.epoch == 2
    assert len(list(dataset)) == 5


def test_the_rest_of_an_epoch_is_not_combined():
    """Nor shared by processes: both would begin it at its first step."""
    rest = data.from_step(_numbers(20, 4, seed=0), 3)
    assert rest.first_step == 3
    with pytest.raises(ValueError, match="`dataset` must be of whole epochs"):
        data.grouped(rest, 2)
    labels = np.zeros(8, int)
    labelled = data.load(
        (np.zeros((8, 2, 2, 3), np.uint8), labels), batch_size=4, labelled=True
    )
    with pytest.raises(ValueError, match="`dataset` must be of whole epochs"):
        data.with_probe(rest, labelled)
    with pytest.raises(ValueError, match="`labelled_dataset` must be of whole"):
        data.with_probe(_numbers(20, 4, seed=0), data.from_step(labelled, 1))
    with pytest.raises(ValueError, match="processes read whole epochs"):
        rest.endless((0, 2))
