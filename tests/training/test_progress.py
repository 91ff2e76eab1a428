"""Epochs are passes over the data; fit epochs are what `fit` counts."""

import csv

import numpy as np
import pytest

from simclr_keras import data
from simclr_keras.models.fit_position import FitPosition
from simclr_keras.training import checkpointing
from simclr_keras.training.progress import Progress


def _metrics(directory):
    with (directory / "metrics.csv").open() as file:
        return [
            (r["scope"], r["step"], r["epoch"]) for r in csv.DictReader(file)
        ]


def test_rows_are_numbered_by_the_epochs_of_the_data(pretraining, tmp_path):
    """Of 4 steps each, two in a fit epoch; the second half is a resumed run."""
    grouped = data.grouped(pretraining.data(), 2)
    whole = pretraining.fit(tmp_path / "whole", 2, data=grouped)
    expected = [
        ("steps", "2", "0"),
        ("steps", "4", "0"),
        ("steps", "6", "1"),
        ("steps", "8", "1"),
        ("epoch", "8", "1"),
        ("steps", "10", "2"),
        ("steps", "12", "2"),
        ("steps", "14", "3"),
        ("steps", "16", "3"),
        ("epoch", "16", "3"),
    ]
    assert _metrics(tmp_path / "whole") == expected
    parts = tmp_path / "parts"
    pretraining.fit(parts, 2, data=grouped, checkpoint_steps=10, keep=0)
    (parts / "checkpoints" / "step-00000016.npz").unlink()
    notes = checkpointing.read(parts / "checkpoints" / "step-00000010.npz")[1]
    assert (notes["epoch"], notes["step_in_epoch"]) == (1, 2)
    assert notes["epochs_per_round"] == 2
    resumed = pretraining.fit(parts, 2, data=grouped)
    assert _metrics(parts) == expected
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], name)


def test_batches_grouped_otherwise_are_refused(pretraining, tmp_path):
    two, four = (data.grouped(pretraining.data(), n) for n in (2, 4))
    pretraining.fit(tmp_path, 1, data=two)
    with pytest.raises(ValueError, match="grouped as before, 2.*Received: 4"):
        pretraining.fit(tmp_path, 2, data=four)


def test_a_grouped_run_of_an_earlier_release_resumes_again(
    pretraining, tmp_path, monkeypatch
):
    """Its checkpoints do not note it; those of a resumed one note 1."""
    grouped = data.grouped(pretraining.data(), 2)
    noted = Progress.notes

    def then(self):
        notes = noted(self)
        del notes["epochs_per_round"]
        return notes

    with monkeypatch.context() as release:
        release.setattr(Progress, "notes", then)
        pretraining.fit(tmp_path, 1, data=grouped)
    for epochs in (2, 3):
        pretraining.fit(tmp_path, epochs, data=grouped)
        last = checkpointing.newest_intact(tmp_path / "checkpoints")
        notes = checkpointing.read(last)[1]
        assert (notes["epoch"], notes["epochs_per_round"]) == (epochs, 1)


def test_a_run_of_an_earlier_release_goes_on_numbering_fit_epochs():
    """Its checkpoints do not say how many epochs a fit epoch has."""
    notes = {"step": 22, "epoch": 2, "step_in_epoch": 6, "best": None}
    progress = Progress(FitPosition(steps_per_epoch=4))
    progress.restore(notes)
    assert (progress.fit_epoch, progress.step_in_fit_epoch) == (2, 6)
    assert progress.epoch == 2
    assert notes.items() <= progress.notes().items()
