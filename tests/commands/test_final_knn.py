"""The kNN accuracy of a pre-training's results, measured once."""

import types

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import pretraining_data
from simclr_keras.evaluation import knn


def _results(monkeypatch, measured):
    """Results of a run of seven steps; measured anew, its kNN is 0.75."""
    monkeypatch.setattr(knn, "knn_accuracy", lambda *arguments: 0.75)
    source = data.open_source("shapes", "train[:8]")
    images = pretraining_data.PretrainingImages(source, source, source, 32)
    model = types.SimpleNamespace(
        optimizer=types.SimpleNamespace(iterations=np.int64(7)),
        encoder=Encoder(),
    )
    flags = types.SimpleNamespace(
        knn_images=8, knn_k=3, eval_batch_size=8, seed=0
    )
    callback = None
    if measured != "nothing":
        callback = pretrain._knn(flags, images)
        callback.measured = measured
    return pretrain._results(flags, images, model, callback)["knn_accuracy"]


class Encoder:
    """One that gives mean colours."""

    def __call__(self, images):
        """Features `[B, 3]`."""
        return tf.reduce_mean(images, (1, 2))

    def count_params(self):
        """Number of numbers."""
        return 0


@pytest.mark.parametrize(
    "measured, expected",
    [
        ("nothing", 0.75),  # where it was not asked for on the way
        ((7, 0.1234567), 0.123457),
        ((5, 0.25), 0.75),  # before the last step
        (None, 0.75),  # a run that was resumed behind its last epoch
    ],
)
def test_what_was_measured_at_the_last_step_counts(
    monkeypatch, measured, expected
):
    assert _results(monkeypatch, measured) == expected


def test_the_bank_is_what_holding_out_the_others_leaves():
    """So the figures of older runs stay; the others are not read."""
    source = data.open_source("shapes", "train[:64]")
    rest, _ = data.hold_out(source, 24, seed=3)
    bank = data.keep_some(source, 40, seed=3)
    np.testing.assert_array_equal(bank.positions, rest.positions)
    assert len(bank.positions) == 40
    assert data.keep_some(source, 64) is source
