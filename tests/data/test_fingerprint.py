"""A source is recognised by its images and labels, wherever they lie."""

import shutil

import numpy as np
import PIL.Image
import pytest

import simclr_keras as sk

pytestmark = pytest.mark.newest


@pytest.fixture
def folder(tmp_path):
    """Three photographs of each of two classes."""
    draw = np.random.default_rng(0)
    for name in ("a/0", "a/1", "a/2", "b/0", "b/1", "b/2"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 256, (8, 8, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


def _of(spec, *arguments):
    return sk.data.fingerprint(sk.data.open_source(spec, *arguments))


def test_it_does_not_depend_on_where_a_folder_lies(folder, monkeypatch):
    expected = _of(f"folder:{folder}")
    assert expected["images"] == 6
    assert _of(f"folder:{folder}/") == expected
    monkeypatch.chdir(folder.parent)
    assert _of("folder:photos") == expected
    shutil.copytree(folder, folder.parent / "copy")
    assert _of("folder:copy") == expected


def _rename(folder):
    (folder / "a/0.png").rename(folder / "a/3.png")


def _relabel(folder):
    (folder / "a/0.png").rename(folder / "b/3.png")
    (folder / "b/1.png").rename(folder / "a/3.png")


def _add(folder):
    shutil.copy(folder / "a/0.png", folder / "a/3.png")


def _exchange(folder):
    PIL.Image.new("RGB", (9, 9)).save(folder / "a/0.png")


@pytest.mark.parametrize("change", [_rename, _relabel, _add, _exchange])
def test_it_changes_with_the_images(folder, change):
    before = _of(f"folder:{folder}")
    change(folder)
    assert _of(f"folder:{folder}")["digest"] != before["digest"]


def test_it_changes_with_the_part_and_with_arrays():
    assert _of("shapes", "train[:90]") != _of("shapes", "train[90:180]")
    images = np.zeros([8, 4, 4, 3], np.uint8)
    labels = np.arange(8) % 2
    before = _of((images, labels))
    assert _of((images.copy(), labels)) == before
    assert _of((images, 1 - labels)) != before
    images[3, 1, 1] = 1
    assert _of((images, labels)) != before
