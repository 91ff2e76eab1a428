"""Commands on folders that people have: sliced, mixed, of one class."""

import types

import keras
import numpy as np
import PIL.Image
import pytest

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import embed
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import pretraining_data
from simclr_keras.commands.common import stages

pytestmark = pytest.mark.newest

COLORS = {"blue": (20, 40, 220), "green": (20, 220, 40), "red": (220, 40, 20)}


@pytest.fixture(autouse=True)
def _default_policy():
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def photos(tmp_path):
    """A sub-folder per class and eight images in each, told by colour."""
    rng = np.random.default_rng(0)
    for name, color in COLORS.items():
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for k in range(8):
            image = np.clip(color + rng.normal(0, 20, (16, 16, 3)), 0, 255)
            image = PIL.Image.fromarray(image.astype(np.uint8))
            image.save(folder / f"{k}.png")
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An encoder that gives mean colours."""
    images = keras.Input((None, None, 3))
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    path = tmp_path_factory.mktemp("model") / "colors.keras"
    encoder.save(path)
    return path


def _run(command, *arguments):
    return command.run(command_line.parse(command.define_flags, arguments))


def _knn(photos, checkpoint, run, *arguments):
    return _run(
        linear_eval,
        f"--dataset=folder:{photos}",
        f"--checkpoint={checkpoint}",
        "--protocol=knn",
        "--knn_k=3",
        "--image_size=16",
        f"--model_dir={run}",
        "--train_split=train[:80%]",
        *arguments,
    )


def test_a_slice_of_a_folder_is_tested_on_all_classes(
    photos, checkpoint, tmp_path, capsys
):
    """By position the last class is tested alone, which nothing trained."""
    (photos / "scan.tiff").touch()
    with pytest.warns(UserWarning, match="1 .tiff"):
        results = _knn(
            photos, checkpoint, tmp_path / "run", "--eval_split=train[80%:]"
        )
    assert results["accuracy"] == 1.0
    assert results["labelled_images"] + results["test_images"] == 24
    said = capsys.readouterr().out
    assert "classes blue, green, red; left out: 1 .tiff" in said
    assert "Caution" not in said


def test_slices_by_position_where_asked_for(photos, checkpoint, tmp_path):
    results = _knn(
        photos,
        checkpoint,
        tmp_path / "run",
        "--eval_split=train[80%:]",
        "--split_order=position",
    )
    # 19 of 24 images are 8 blue, 8 green and 3 red ones, so red is found.
    assert results["labelled_images"] == 19
    flags = (tmp_path / "run" / "flags.txt").read_text()
    assert "--split_order=position" in flags


def test_photographs_without_a_test_split_are_a_normal_thing(photos, capsys):
    flat = [f"--dataset=folder:{photos}", "--folder_layout=flat"]
    flags = command_line.parse(pretrain.define_flags, flat)
    images = pretraining_data.open_for_pretraining(flags)
    assert images.held_out is None
    assert images.probe is None
    said = capsys.readouterr().out
    assert said == "No labelled test split: no evaluation.\n"


@pytest.mark.parametrize("name", ["views.image_size.0", "model.image_size"])
def test_a_run_of_small_files_keeps_its_size(tmp_path, name):
    """Of a pre-training and of a classifier, of which any size is recorded."""
    (tmp_path / "photos").mkdir()
    PIL.Image.new("RGB", (16, 16)).save(tmp_path / "photos" / "a.png")
    run = sk.training.RunDirectory(tmp_path / "run")
    arguments = [
        f"--dataset=folder:{tmp_path / 'photos'}",
        f"--model_dir={run.path}",
    ]

    def size():
        flags = command_line.parse(pretrain.define_flags, arguments)
        return pretraining_data.open_for_pretraining(flags).size

    assert size() == 16
    run.checkpoints.mkdir(parents=True)
    assert size() == 16
    run.record_start(model={name: "224"})
    assert size() == 224


def test_evaluation_on_trained_images_is_said(
    photos, checkpoint, tmp_path, capsys
):
    _knn(photos, checkpoint, tmp_path / "run", "--eval_split=train[50%:]")
    said = capsys.readouterr().out
    assert "Caution: 7 of the 12 images" in said  # rows 12 to 18 of 24


def test_the_start_line_says_how_the_folder_was_read(tmp_path):
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    devices = types.SimpleNamespace(replicas=2)
    flags = types.SimpleNamespace(train_batch_size=8)
    source = data.open_source(f"folder:{tmp_path}")
    line = stages.start_line(flags, devices, source, 10)
    said = "2 images; splits train, test; classes a, b; left out: 1 .txt"
    assert f"folder:{tmp_path} train: {said} | global batch 8" in line


@pytest.mark.parametrize("command", [pretrain, linear_eval, embed])
def test_a_mixed_folder_is_refused_before_any_work(
    command, photos, checkpoint, tmp_path
):
    (photos / "train").mkdir()
    (photos / "train" / "1.png").touch()
    arguments = [
        f"--dataset=folder:{photos}",
        f"--model_dir={tmp_path / 'run'}",
        "--image_size=16",
    ]
    if command is not pretrain:
        arguments.append(f"--checkpoint={checkpoint}")
    with pytest.raises(ValueError, match="--folder_layout=splits"):
        _run(command, *arguments)
    assert not (tmp_path / "run").exists()


def test_a_choice_of_layout_reaches_the_images(photos, checkpoint, tmp_path):
    (photos / "train").mkdir()
    PIL.Image.new("RGB", (16, 16)).save(photos / "train" / "1.png")
    path = _run(
        embed,
        f"--dataset=folder:{photos}",
        f"--checkpoint={checkpoint}",
        f"--model_dir={tmp_path / 'run'}",
        "--image_size=16",
        "--folder_layout=classes",
        "--verbose=0",
    )
    assert len(np.load(path / "embeddings.npy")) == 25


def test_a_share_of_labels_that_is_no_number(photos, checkpoint, tmp_path):
    with pytest.raises(Exception, match="nan"):
        _knn(
            photos,
            checkpoint,
            tmp_path / "run",
            "--eval_split=train[80%:]",
            "--label_fraction=nan",
        )
    assert not (tmp_path / "run").exists()


def test_labels_of_a_file_keep_their_names(checkpoint, tmp_path, capsys):
    """Strings, of which the test split has one that the training lacks."""
    rng = np.random.default_rng(0)
    names = np.array(["cat", "dog", "eel"])[np.arange(12) % 3]
    images = rng.integers(0, 256, (12, 16, 16, 3), np.uint8)
    np.savez(
        tmp_path / "a.npz",
        x_train=images,
        y_train=names,
        x_test=images[:4],
        y_test=["eel", "ant", "cat", "dog"],
    )
    run = tmp_path / "run"
    _run(
        linear_eval,
        f"--dataset=arrays:{tmp_path / 'a.npz'}",
        f"--checkpoint={checkpoint}",
        "--protocol=knn",
        "--knn_k=1",
        "--image_size=16",
        f"--model_dir={run}",
    )
    assert (run / "class_names.txt").read_text() == "ant\ncat\ndog\neel\n"
    assert "12 images; classes ant, cat, dog, eel" in capsys.readouterr().out
    assert sk.data.open_source(f"arrays:{tmp_path / 'a.npz'}").labels[0] == 1


def test_a_split_that_is_missing_is_named_by_its_flag(photos, checkpoint):
    with pytest.raises(ValueError) as caught:
        _run(
            linear_eval,
            f"--dataset=folder:{photos}",
            f"--checkpoint={checkpoint}",
            "--model_dir=/nowhere/run",
        )
    text = str(caught.value)
    assert "Received: 'test', by --eval_split" in text
    assert "--train_split=train[:80%] --eval_split=train[80%:]" in text


def test_a_batch_above_the_images_is_named_by_its_flag(photos):
    with pytest.raises(ValueError, match="^--train_batch_size must be no l"):
        _run(
            pretrain,
            f"--dataset=folder:{photos}",
            "--model_dir=/nowhere/run",
            "--train_batch_size=25",
        )
