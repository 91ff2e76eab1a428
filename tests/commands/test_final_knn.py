"""The kNN accuracy of a pre-training's results, measured once."""

import types

import numpy as np
import pytest

from simclr_keras import data
from simclr_keras.commands import accuracy


def _results(monkeypatch, callbacks):
    """Results of a run of seven steps; measured anew, its kNN is 0.75."""
    monkeypatch.setattr(accuracy, "_knn_accuracy", lambda *arguments: 0.75)
    source = data.open_source("shapes", "train[:8]")
    model = types.SimpleNamespace(
        optimizer=types.SimpleNamespace(iterations=np.int64(7)),
        encoder=types.SimpleNamespace(count_params=lambda: 3),
    )
    arguments = (types.SimpleNamespace(), source, source, 32, model, callbacks)
    return accuracy.after_pretraining(*arguments)["knn_accuracy"]


@pytest.mark.parametrize(
    "measured, expected",
    [
        ([], 0.75),
        ([(7, 0.1234567)], 0.123457),
        ([(5, 0.25)], 0.75),  # before the last step
        ([None], 0.75),  # a run that was resumed behind its last epoch
    ],
)
def test_what_was_measured_at_the_last_step_counts(
    monkeypatch, measured, expected
):
    callbacks = [types.SimpleNamespace(measured=each) for each in measured]
    callbacks.append(object())  # one that measures nothing
    assert _results(monkeypatch, callbacks) == expected


def test_the_bank_is_what_holding_out_the_others_leaves():
    """So the figures of older runs stay; the others are not read."""
    source = data.open_source("shapes", "train[:64]")
    rest, _ = data.hold_out(source, 24, seed=3)
    bank = data.keep_some(source, 40, seed=3)
    np.testing.assert_array_equal(bank.positions, rest.positions)
    assert len(bank.positions) == 40
    assert data.keep_some(source, 64) is source
