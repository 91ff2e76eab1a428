"""Photographs decoded once: the same batches, and never a wrong cache."""

import dataclasses
import os
import pathlib
import shutil
import time

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras import images
from simclr_keras.data import cache_files
from simclr_keras.data import caching
from simclr_keras.data import decoded

PLACES = ("memory", "disk")


def _write(path, number):
    rng = np.random.default_rng(number)
    height, width = (int(n) for n in rng.integers(20, 60, 2))
    image = PIL.Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
    image = image.resize((width, height))
    path.parent.mkdir(exist_ok=True)
    exif = PIL.Image.Exif()
    exif[0x0112] = number % 8 + 1  # orientations
    image.save(path, exif=exif)


@pytest.fixture
def folder(tmp_path):
    """Twenty-two images of many sizes, formats and orientations."""
    root = tmp_path / "photographs"
    root.mkdir()
    for number in range(22):
        kind = ("jpg", "png", "webp")[number % 3]
        _write(root / "ab"[number % 2] / f"{number:02}.{kind}", number)
    return root


def _open(folder):
    return data.open_source(f"folder:{folder}")


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def _decoded(path):
    return images.decode(tf.io.read_file(path))


def _assert_pixels(source, folder):
    """Those of each photograph, decoded by itself."""
    files = _open(folder).files
    assert source.files.tolist() == files.tolist()
    size_of, image_of = source.decoded.reader()
    for row, path in enumerate(files):
        image = _decoded(path)
        np.testing.assert_array_equal(image_of(row), image)
        np.testing.assert_array_equal(size_of(row), image.shape[:2])


def _load(folder, **options):
    options = {"image_size": 16, "batch_size": 4, "seed": 3, **options}
    return data.load(f"folder:{folder}", **options)


def _rows(dataset):
    return [tuple(np.asarray(x) for x in batch) for batch in dataset]


def _assert_same(dataset, other):
    batches, others = _rows(dataset), _rows(other)
    assert len(batches) == len(others) > 0
    for batch, expected in zip(batches, others):
        for x, y in zip(batch, expected):
            np.testing.assert_array_equal(x, y)


# The same batches


@pytest.mark.parametrize(
    "change",
    [
        lambda dataset: dataset.endless((1, 2)).take(7),
        pytest.param(
            lambda dataset: data.from_step(dataset, 2), marks=pytest.mark.long
        ),
        pytest.param(lambda dataset: dataset, marks=pytest.mark.long),
    ],
    ids=["part", "rest", "whole"],
)
def test_batches_are_those_of_the_source_bit_for_bit(folder, change):
    """A part of each batch of two epochs, the rest of one, and a whole one."""
    cached, plain = (_load(folder, cache=cache) for cache in ("auto", "none"))
    cached.seek(1)
    plain.seek(1)
    _assert_same(change(cached), change(plain))


@pytest.mark.newest
def test_evaluation_with_few_labels_from_a_file(folder, tmp_path):
    options = {
        "training": False,
        "labelled": True,
        "batch_size": 8,
        "label_fraction": 0.5,
    }
    cache = {"cache": "disk", "cache_dir": tmp_path}
    _assert_same(_load(folder, **cache, **options), _load(folder, **options))


@pytest.mark.newest
def test_nothing_is_read_any_more(folder, tmp_path):
    """The photographs are gone, and an epoch does not mind."""
    cached = _load(folder, cache="disk", cache_dir=tmp_path / "cache")
    shutil.rmtree(folder)
    assert len(list(cached)) == 5


@pytest.mark.newest
def test_parts_of_a_source_share_its_pixels(folder):
    source = data.cached(_open(folder), "memory")
    rest, held_out = data.hold_out(source, 6)
    assert rest.decoded._buffer is held_out.decoded._buffer
    for part in (rest, held_out):
        image_of = part.decoded.reader()[1]
        for row in (0, 5):
            image = _decoded(part.ids[row])
            np.testing.assert_array_equal(image_of(row), image)


@pytest.mark.newest
def test_encoded_images_give_way_to_their_pixels(folder):
    """As TFDS has them: bytes in memory, numbers instead of paths."""
    source = _open(folder)
    encoded = np.empty(source.num_examples, object)
    encoded[:] = [pathlib.Path(path).read_bytes() for path in source.files]
    source = dataclasses.replace(source, files=None, encoded=encoded)
    cached = data.cached(source, "auto")
    assert cached.encoded is None and cached.ids == source.ids
    assert cached.decoded.sizes.min() >= 20
    changed = encoded.copy()
    changed[3] += b"\0"
    other = dataclasses.replace(source, encoded=changed)
    assert cache_files.contents(source) != cache_files.contents(other)


@pytest.mark.newest
@pytest.mark.long
def test_real_photographs(photos_dir, tmp_path):
    for place in PLACES:
        cached = data.cached(_open(photos_dir), place, directory=tmp_path)
        _assert_pixels(cached, photos_dir)


# Corrupt images


@pytest.mark.newest
@pytest.mark.parametrize(
    "place, kind",
    [
        ("memory", "cut short"),
        ("disk", "no image"),
        pytest.param("memory", "no image", marks=pytest.mark.long),
        pytest.param("disk", "cut short", marks=pytest.mark.long),
    ],
)
def test_a_corrupt_image_is_named_before_training(
    folder, tmp_path, place, kind
):
    path = folder / "b" / "03.jpg"
    content = path.read_bytes()
    path.write_bytes(b"?" if kind == "no image" else content[:-200])
    cache = {"cache": place, "cache_dir": tmp_path / "cache"}
    for _ in range(2):  # what is cached names it, too
        with pytest.raises(ValueError, match="Corrupt image.*b/03.jpg"):
            _load(folder, **cache)
    if place == "memory":
        with pytest.warns(UserWarning, match="1 of 22 images"):
            assert len(list(_load(folder, skip_corrupt=True, **cache))) == 5


# The file


def _cache(folder, tmp_path, capsys):
    """(the source, what opening it printed, the cache's directory)."""
    capsys.readouterr()
    directory = tmp_path / "cache"
    source = data.cached(_open(folder), "disk", directory=directory)
    (path,) = (p for p in directory.iterdir() if p.is_dir())
    return source, capsys.readouterr().out, path


@pytest.mark.newest
def test_a_later_run_finds_the_file(folder, tmp_path, capsys):
    _, out, path = _cache(folder, tmp_path, capsys)
    assert "Decoding 22 images" in out and str(path) in out
    before = os.stat(path / "pixels")
    second, out, _ = _cache(folder, tmp_path, capsys)
    assert "Decoded images" in out and str(path) in out
    after = os.stat(path / "pixels")
    assert (after.st_ino, after.st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    _assert_pixels(second, folder)


@pytest.mark.newest
@pytest.mark.parametrize(
    "change",
    [
        "removed",
        "touched",
        pytest.param("content", marks=pytest.mark.long),
        pytest.param("added", marks=pytest.mark.long),
    ],
)
def test_a_changed_folder_is_decoded_anew(folder, tmp_path, capsys, change):
    _cache(folder, tmp_path, capsys)
    path = folder / "a" / "00.jpg"
    if change == "content":
        _write(path, 99)
    elif change == "removed":
        path.unlink()
    elif change == "added":
        _write(folder / "a" / "new.png", 98)
    else:
        os.utime(path, ns=(1, time.time_ns() + 10**9))
    cached, out, _ = _cache(folder, tmp_path, capsys)
    assert "is of images that have changed since: it is made anew" in out
    _assert_pixels(cached, folder)


@pytest.mark.newest
@pytest.mark.parametrize(
    "damage",
    ["pixels", "index.npz", pytest.param("gone", marks=pytest.mark.long)],
)
def test_a_damaged_file_is_made_anew(folder, tmp_path, capsys, damage):
    _, _, path = _cache(folder, tmp_path, capsys)
    if damage == "gone":
        (path / "index.npz").unlink()
    else:
        os.truncate(path / damage, (path / damage).stat().st_size // 2)
    cached, out, _ = _cache(folder, tmp_path, capsys)
    assert "is damaged" in out and "made anew" in out
    _assert_pixels(cached, folder)


@pytest.mark.newest
def test_what_a_killed_run_left_is_not_taken_for_whole(
    folder, tmp_path, capsys, monkeypatch
):
    """Cut off in the middle of the filling, with nothing tidied up."""

    class Killed(BaseException):
        pass

    def fill(array, *_, **__):
        array[: len(array) // 2] = 7
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(decoded, "fill", fill)
        patched.setattr(shutil, "rmtree", lambda *args, **kwargs: None)
        with pytest.raises(Killed):
            _load(folder, cache="disk", cache_dir=tmp_path / "cache")
    (left,) = (p for p in (tmp_path / "cache").iterdir() if p.is_dir())
    assert (left / "pixels").stat().st_size > 0
    cached, _, path = _cache(folder, tmp_path, capsys)
    assert not left.exists() and path != left
    _assert_pixels(cached, folder)


@pytest.mark.newest
def test_a_failed_filling_leaves_nothing(folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        _load(folder, cache="disk", cache_dir=tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


@pytest.mark.newest
def test_splits_and_parts_have_files_of_their_own(folder, tmp_path):
    """Half of the labels is another part than all of them."""
    cache = {"cache": "disk", "cache_dir": tmp_path / "cache"}
    for options in ({}, {"split": "train[:50%]"}, {"label_fraction": 0.5}):
        _load(folder, **cache, **options)
    made = [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]
    assert len(made) == 3


# What does not fit


def _bytes(folder):
    source = _open(folder)
    sizes = [np.prod(PIL.Image.open(path).size) * 3 for path in source.files]
    return source, int(sum(-(-size // 64) * 64 for size in sizes))


@pytest.mark.newest
@pytest.mark.parametrize("place", PLACES)
def test_the_limit_is_exact_and_said(folder, tmp_path, place, capsys):
    source, needed = _bytes(folder)
    options = {"directory": tmp_path / "cache", "limit": needed - 1}
    assert data.cached(source, place, **options) is source
    out = capsys.readouterr().out
    kind = "the memory has" if place == "memory" else "the disk has"
    assert f"need {needed / 2**20:.1f} MiB decoded" in out and kind in out
    assert "decoded in every epoch instead" in out
    assert ("cache=disk" in out) == (place == "memory")
    options["limit"] = needed
    assert data.cached(source, place, **options).decoded is not None


@pytest.mark.newest
def test_many_images_are_estimated_from_some(folder, capsys, monkeypatch):
    """With 5 of 22 headers read; far too large is known before the rest."""
    monkeypatch.setattr(caching, "_SAMPLE", 5)
    source, needed = _bytes(folder)
    read = []
    sizes = decoded.read_sizes

    def counted(fetch, max_pixels, rows, channels=None):
        read.append(len(rows))
        return sizes(fetch, max_pixels, rows, channels)

    monkeypatch.setattr(decoded, "read_sizes", counted)
    assert data.cached(source, "auto", limit=needed // 4) is source
    assert "need about" in capsys.readouterr().out
    assert read == [5]
    assert data.cached(source, "auto", limit=needed).decoded is not None
    assert read == [5, 5, 22]


@pytest.mark.newest
def test_half_of_the_free_memory_is_the_limit(folder, monkeypatch, no_cluster):
    source, needed = _bytes(folder)
    monkeypatch.setattr(caching, "free_memory", lambda: 2 * needed - 2)
    assert data.cached(source) is source
    monkeypatch.setattr(caching, "free_memory", lambda: 2 * needed)
    assert data.cached(source).decoded is not None
    monkeypatch.setattr(caching, "workers_here", lambda: 2)
    assert data.cached(source) is source
    monkeypatch.setattr(caching, "free_memory", lambda: 4 * needed)
    assert data.cached(source).decoded is not None


@pytest.mark.newest
def test_images_that_are_read_once_are_not_decoded_ahead(folder):
    source, _ = _bytes(folder)
    assert data.cached(source, epochs=1) is source
    assert data.cached(source, epochs=1.5).decoded is not None
    assert data.cached(source, "memory", epochs=1).decoded is not None


@pytest.mark.newest
def test_the_free_memory_of_this_machine():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < data.free_memory() < total


@pytest.mark.newest
def test_what_is_in_memory_or_streamed_stays_as_it_is(folder):
    source = data.open_source(np.zeros((4, 8, 8, 3), np.uint8))
    assert data.cached(source, "memory") is source
    source = _open(folder)
    assert data.cached(source, "none") is source


@pytest.mark.newest
def test_an_unknown_place_is_refused(folder):
    with pytest.raises(ValueError, match="`cache` must be one of auto.*'ram'"):
        _load(folder, cache="ram")
