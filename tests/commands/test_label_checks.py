"""What is checked and measured of labels, without a training."""

import dataclasses
import types

import numpy as np
import PIL.Image
import pytest

import simclr_keras as sk
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import pretraining_data
from simclr_keras.commands.common import tasks

pytestmark = pytest.mark.newest


def test_columns_without_variance_have_no_part_in_the_mean():
    """By hand: R2 of the first column is 0.625, the second is constant."""
    task = tasks.of(types.SimpleNamespace(task="regression"))
    targets = np.array([[0.0, 5], [2, 5], [4, 5]])
    figures = task.measure(["a", "b"], targets, targets + [1, -2])
    assert figures == {
        "mean_r2": 0.625,
        "rmse of a": 1.0,
        "r2 of a": 0.625,
        "rmse of b": 2.0,
        "r2 of b": None,
        "numbers_without_r2": 1,
    }
    same = targets[:, 1:].repeat(2, axis=1)
    assert task.measure(["a", "b"], same, same)["mean_r2"] is None


def test_what_the_test_images_cannot_measure_is_said(capsys):
    """Before the training: the second column is the same for all of them."""
    images = np.zeros([3, 8, 8, 3], np.uint8)

    def source(labels, task):
        source = sk.data.open_source(images)
        labels = np.array(labels, np.float32)
        return dataclasses.replace(
            source, labels=labels, class_names=("a", "b"), task=task
        )

    train = [[0, 1], [1, 0], [1, 0]]
    test = source([[0, 0], [1, 0], [1, 0]], "regression")
    tasks.check_targets(source(train, "regression"), test)
    said = capsys.readouterr().out
    assert "1 of the 2 numbers have no R2" in said and "images: b\n" in said
    test = dataclasses.replace(test, task="multilabel")
    tasks.check_targets(source(train, "multilabel"), test)
    said = capsys.readouterr().out
    assert "1 of the 2 labels have no average precision" in said
    assert "images has them: b\n" in said and "learnt" not in said


def test_a_probe_has_labels_of_its_own(tmp_path):
    """Sub-folders are its classes: the table is of the other images."""
    for name in ("photos/a", "photos/b", "probe/odd/c", "probe/even/d"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (8, 8)).save(path)
    table = tmp_path / "labels.csv"
    table.write_text("file,age\na.png,1.5\nb.png,2.5\n")
    arguments = [
        f"--dataset=folder:{tmp_path / 'photos'}",
        f"--labels={table}",
        "--task=regression",
        f"--probe_dataset=folder:{tmp_path / 'probe'}",
    ]
    flags = command_line.parse(pretrain.define_flags, arguments)
    images = pretraining_data.open_for_pretraining(flags)
    assert images.trained.class_names == ("age",)
    assert images.probe.class_names == ("even", "odd")
    assert not images.classified
