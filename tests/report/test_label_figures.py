"""Figures of several labels and of numbers as files and pictures."""

import csv

import numpy as np
import pytest
from PIL import Image

from simclr_keras import training
from simclr_keras.report import guessing
from simclr_keras.report import label_figures
from simclr_keras.report import number_figures
from simclr_keras.report import run_files

pytestmark = pytest.mark.newest


def _rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_labels_by_hand(tmp_path):
    """Ranks 1 and 3 of 4 have the first label, none the second."""
    labels = np.array([[1, 0], [0, 0], [1, 0], [0, 0]])
    scores = np.array([[0.9, 0.1], [0.8, 0.1], [0.3, 0.1], [0.1, 0.9]])
    run = training.RunDirectory(tmp_path)
    label_figures.write(run, ["cat, $x$", "dog"], labels, scores)
    assert _rows(tmp_path / "labels.csv") == [
        ["label", "images", "average_precision", "precision", "recall", "f1"],
        ["cat, $x$", "2", "0.8333", "0.5000", "0.5000", "0.5000"],
        ["dog", "0", "", "0.0000", "", "0.0000"],
    ]
    with Image.open(tmp_path / "labels.png") as picture:
        said = picture.info["Description"]
    assert "2 labels, 4 images. Lowest: cat, $x$, 0.833." in said
    assert list((tmp_path / "tensorboard").iterdir())


def test_numbers_by_hand(tmp_path):
    targets = np.array([[0.0, 5], [2, 5], [4, 5]])
    run = training.RunDirectory(tmp_path)
    number_figures.write(run, ["a", "b"], targets, targets + [1, -2])
    assert _rows(tmp_path / "numbers.csv") == [
        ["number", "mse", "rmse", "mae", "r2"],
        ["a", "1", "1", "1", "0.625"],
        ["b", "4", "2", "2", ""],
    ]
    with Image.open(tmp_path / "numbers.png") as picture:
        assert "a with an RMSE of 1, b with" in picture.info["Description"]


def test_many_labels_and_numbers_have_room():
    names = [str(k) for k in range(300)]
    figure = label_figures.precision_figure(
        np.full(300, 0.5), np.full(300, 0.1), names
    )
    assert max(figure.get_size_inches()) < 15
    numbers = np.random.default_rng(0).normal(size=(9, 300))
    figure = number_figures.scatter_figure(numbers, numbers, names)
    assert max(figure.get_size_inches()) < 15 and len(figure.axes) == 12


@pytest.mark.parametrize(
    "name, choose",
    [
        ("mean_average_precision", max),
        ("val_probe_accuracy", max),
        ("rmse of top5 accuracy", min),
        ("numbers_without_r2", None),
        ("top5", max),
        ("mean_r2", max),
        ("r2 of age", max),
        ("rmse of age", min),
        ("mse", min),
        ("loss", min),
        ("steps", None),
        ("image_size", None),
    ],
)
def test_which_results_are_better(name, choose):
    assert run_files.better(name) is choose


@pytest.mark.parametrize(
    "task, expected",
    [
        ("regression", {"loss": 1.0}),
        ("multilabel", {}),
        ("classification", {"loss": pytest.approx(np.log(2)), "accuracy": 0.5}),
    ],
)
def test_what_guessing_reaches(tmp_path, task, expected):
    (tmp_path / "flags.txt").write_text(f"--task={task}\n")
    (tmp_path / "class_names.txt").write_text("a\nb\n")
    run = run_files.ReportedRun(tmp_path)
    assert guessing.of_run(run, "classifier") == expected
