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

pytestmark = pytest.mark.newest
PRETRAINING = (
    *("--dataset=folder:photos", "--model_dir=run", "--image_size=16"),
    *("--encoder=tiny", "--width_multiplier=0.25", "--knn_k=2"),
    *("--train_batch_size=6", "--train_steps=2"),
)
EMBEDDING = ("--dataset=folder:photos", "--checkpoint=run", "--model_dir=h")


def _run(command, *arguments):
    command.run(command_line.parse(command.define_flags, list(arguments)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with photographs, and a finished pre-training on them.

    12 of each of two classes, in a training and a test split.
    """
    folder = tmp_path_factory.mktemp("made")
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for number in range(12):
            path = folder / f"photos/{split}/{'ab'[number % 2]}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = draw.integers(0, 256, (16, 16, 3), np.uint8)
            PIL.Image.fromarray(pixels).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _run(pretrain, *PRETRAINING)
    return folder


@pytest.fixture
def photos(made, tmp_path, monkeypatch):
    """The photographs in a copy of the folder, which is the current one."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy" / "photos"


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
def test_a_training_is_not_resumed(photos, change, text, capsys):
    """Nor made longer, nor said to have ended; a copy of the folder may be."""
    _run(pretrain, *PRETRAINING)
    assert "Finished already" in capsys.readouterr().out
    change(photos)
    for more in ([], ["--train_steps=3"]):
        with pytest.raises(ValueError, match=text):
            _run(pretrain, *PRETRAINING, *more)


def test_a_run_of_an_earlier_release_does_not_know(photos):
    (photos.parent / "run" / "data.json").unlink()
    _add(photos)
    _run(pretrain, *PRETRAINING)


def test_an_evaluation_is_not_taken_for_that_of_other_labels(photos):
    arguments = ["--dataset=folder:photos", "--protocol=lbfgs"]
    arguments += ["--checkpoint=run", "--model_dir=linear"]
    _run(linear_eval, *arguments)
    _relabel(photos)
    with pytest.raises(ValueError, match="evaluation images of a run must not"):
        _run(linear_eval, *arguments)


def test_embeddings_are_those_of_the_images(photos, capsys):
    """Of which the index has the classes; files that are gone come back."""
    _run(embed, *EMBEDDING)
    with open("h/index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["id"].split("/")[-2] == row["class"]
        assert row["label"] == str("ab".index(row["class"]))
    path = photos.parent / "h" / "embeddings.npy"
    before = path.read_bytes()
    path.unlink()
    _run(embed, *EMBEDDING)
    assert "Files of embeddings are gone" in capsys.readouterr().out
    assert path.read_bytes() == before
    _add(photos)
    with pytest.raises(ValueError, match="the images of a run must not change"):
        _run(embed, *EMBEDDING, "--neighbors=random:2")
