"""Figures of classes as files: tables, a picture, an image in TensorBoard."""

import csv

import numpy as np
import pytest
from PIL import Image

from simclr_keras import training
from simclr_keras.report import classes

pytestmark = pytest.mark.newest
NAMES = ["cat", "a, $dog", "owl"]


def _rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_files_of_three_classes(tmp_path):
    """Two of three cats are right, the dog is not; there is no owl."""
    run = training.RunDirectory(tmp_path)
    labels, predictions = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 2])
    classes.write(run, NAMES, labels, predictions)
    assert _rows(tmp_path / "confusion.csv") == [
        ["class", *NAMES],
        ["cat", "2", "1", "0"],
        ["a, $dog", "0", "0", "1"],
        ["owl", "0", "0", "0"],
    ]
    assert _rows(tmp_path / "classes.csv") == [
        ["class", "images", "accuracy", "precision", "f1"],
        ["cat", "3", "0.6667", "1.0000", "0.8000"],
        ["a, $dog", "1", "0.0000", "0.0000", "0.0000"],
        ["owl", "0", "", "0.0000", "0.0000"],
    ]
    with Image.open(tmp_path / "confusion.png") as picture:
        said = picture.info["Description"]
    assert "3 classes, 4 images" in said and "1 of" in said
    assert (tmp_path / "confusion.svg").exists()
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_thousand_classes_are_drawn_without_names():
    counts = np.diag(np.arange(1000))
    figure = classes.confusion_figure(counts, [str(i) for i in range(1000)])
    width, height = figure.get_size_inches()
    assert max(width, height) < 15
    assert not figure.axes[0].texts
