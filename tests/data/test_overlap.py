"""Images that two sources share."""

import numpy as np
import PIL.Image
import pytest

from simclr_keras import data

pytestmark = pytest.mark.newest


@pytest.mark.filterwarnings("ignore:Left out")
def test_shared_images_are_found_through_links(tmp_path):
    """Of three classes with eight images each."""
    train = tmp_path / "train"
    for name in ("blue", "green", "red"):
        (train / name).mkdir(parents=True)
        for k in range(8):
            image = PIL.Image.new("RGB", (16, 16), name)
            image.save(train / name / f"{k}.png")
    (tmp_path / "test").symlink_to(train)
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "red").symlink_to(train / "red")
    spec = f"folder:{tmp_path}"
    sources = {s: data.open_source(spec, s) for s in ("train", "test", "val")}
    assert data.num_shared(sources["train"], sources["test"]) == 24
    assert data.num_shared(sources["train"], sources["val"]) == 8
    other = data.open_source("shapes", "test[:5]")
    assert data.num_shared(sources["train"], other) == 0


def test_arrays_of_python_are_compared_by_their_pixels():
    """They have no name that would tell them apart."""
    images = np.random.RandomState(0).randint(0, 256, (5, 8, 8, 3), np.uint8)
    other = images.copy()
    other[:3] += 1
    first, second = (data.open_source(x) for x in (images, other))
    assert data.num_shared(first, first) == 5
    assert data.num_shared(first, second) == 2
    assert data.num_shared(first, data.open_source(images[:, :4])) == 0


def test_slices_of_one_data_set_are_compared_by_position(capsys):
    first = data.open_source("shapes", "train[:10]")
    second = data.open_source("shapes", "train[7:20]")
    assert data.num_shared(first, second) == 3
    data.warn_of_overlap(first, second)
    assert "Caution: 3 of the 13 images" in capsys.readouterr().out
    data.warn_of_overlap(first, None)
    data.warn_of_overlap(first, data.open_source("shapes", "train[10:20]"))
    assert not capsys.readouterr().out
