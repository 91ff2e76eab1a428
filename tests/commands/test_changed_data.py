"""A run does not go on with images or labels other than those it began with."""

import csv
import shutil

import numpy as np
import PIL.Image
import pytest

from simclr_keras.commands import embed
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line

TINY = ("--encoder=tiny", "--width_multiplier=0.25", "--image_size=16")


def _run(command, *arguments):
    command.run(command_line.parse(command.define_flags, list(arguments)))


@pytest.fixture
def photos(tmp_path):
    """12 pictures of each of two classes, in a training and a test split."""
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for number in range(12):
            path = tmp_path / f"photos/{split}/{'ab'[number % 2]}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = draw.integers(0, 256, (16, 16, 3), np.uint8)
            PIL.Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


@pytest.fixture
def pretrained(photos):
    """A finished pre-training on them."""
    arguments = [f"--dataset=folder:{photos}", *TINY]
    arguments += ["--train_batch_size=6", "--train_steps=2", "--knn_k=2"]
    arguments += [f"--model_dir={photos.parent / 'run'}"]
    _run(pretrain, *arguments)
    return photos.parent / "run", arguments


def _add(photos):
    shutil.copy(photos / "train/a/0.png", photos / "train/a/00.png")


def _exchange(photos):
    PIL.Image.new("RGB", (17, 17)).save(photos / "train/a/0.png")


def _relabel(photos):
    (photos / "test/a/0.png").rename(photos / "test/b/0.png")


@pytest.mark.parametrize(
    "change, text",
    [
        (_add, "training images .*Received: 13, where the run in .* has 12"),
        (_exchange, "training images .*others than the 12 of the run in"),
        (_relabel, "evaluation images .*others than the 12 of the run in"),
    ],
)
def test_a_training_is_not_resumed(pretrained, photos, change, text, capsys):
    """Nor made longer, nor said to have ended."""
    _, arguments = pretrained
    _run(pretrain, *arguments)
    assert "Finished already" in capsys.readouterr().out
    change(photos)
    for more in ([], ["--train_steps=3"]):
        with pytest.raises(ValueError, match=text):
            _run(pretrain, *arguments, *more)


def test_a_run_of_an_earlier_release_does_not_know(pretrained, photos):
    directory, arguments = pretrained
    (directory / "data.json").unlink()
    _add(photos)
    _run(pretrain, *arguments)


def test_the_same_images_may_lie_elsewhere(pretrained, photos):
    """Their names count from the folder on; the flag has to be the same."""
    _, arguments = pretrained
    shutil.copytree(photos, photos.parent / "copy")
    shutil.rmtree(photos)
    (photos.parent / "copy").rename(photos)
    _run(pretrain, *arguments)


def test_an_evaluation_is_not_taken_for_that_of_other_labels(
    pretrained, photos
):
    arguments = [f"--dataset=folder:{photos}", "--protocol=lbfgs"]
    arguments += [f"--checkpoint={pretrained[0]}"]
    arguments += [f"--model_dir={photos.parent / 'linear'}"]
    _run(linear_eval, *arguments)
    _relabel(photos)
    with pytest.raises(ValueError, match="evaluation images of a run must not"):
        _run(linear_eval, *arguments)


@pytest.fixture
def embedded(pretrained, photos):
    """Arguments of an embedding that has ended."""
    arguments = [f"--dataset=folder:{photos}"]
    arguments += [f"--checkpoint={pretrained[0]}"]
    arguments += [f"--model_dir={photos.parent / 'embedded'}"]
    _run(embed, *arguments)
    return arguments


def test_neighbours_are_not_drawn_of_other_images(embedded, photos):
    _add(photos)
    with pytest.raises(ValueError, match="the images of a run must not change"):
        _run(embed, *embedded, "--neighbors=random:2")


def test_the_index_has_the_names_of_classes(embedded, photos):
    with open(photos.parent / "embedded/index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["id"].split("/")[-2] == row["class"]
        assert row["label"] == str("ab".index(row["class"]))


def test_embeddings_that_are_gone_are_made_again(embedded, photos, capsys):
    path = photos.parent / "embedded/embeddings.npy"
    before = path.read_bytes()
    path.unlink()
    _run(embed, *embedded)
    assert "Files of embeddings are gone" in capsys.readouterr().out
    assert path.read_bytes() == before
