"""Resuming, logging and guarding a `fit`."""

import csv
import os
import pathlib
import warnings

import forked
import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.training import checkpointing

LOAD_ANEW = pathlib.Path(__file__).with_name("load_anew.py")


def _assert_same(arrays, others):
    assert arrays.keys() == others.keys()
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], name)


def _assert_same_weights(model, other):
    """Without those of metrics, which Keras 2.15 counts among them."""
    weights, others = compat.weights_of(model), compat.weights_of(other)
    assert len(weights) == len(others)
    for a, b in zip(weights, others):
        np.testing.assert_array_equal(compat.as_numpy(a), compat.as_numpy(b))


@pytest.mark.parametrize(
    "optimizer", ["lars", pytest.param("lamb", marks=pytest.mark.long)]
)
def test_a_resumed_run_ends_with_the_same_bits(
    pretraining, make_pretraining, tmp_path, optimizer
):
    """Of a model that is new, as it is after a kill."""
    if optimizer != "lars":
        pretraining = make_pretraining(optimizer=optimizer)
    whole = pretraining.fit(tmp_path / "whole", 4)
    pretraining.fit(tmp_path / "parts", 2)
    parts = make_pretraining(optimizer=optimizer).fit(tmp_path / "parts", 4)
    _assert_same(whole, parts)
    whole, parts = (
        (tmp_path / name / "metrics.csv").read_text()
        for name in ("whole", "parts")
    )
    assert whole == parts


def test_metrics_and_tensorboard_say_the_same(pretraining, tmp_path):
    pretraining.fit(tmp_path)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [(r["scope"], r["step"]) for r in rows] == [
        ("steps", "2"),
        ("steps", "4"),
        ("epoch", "4"),
        ("steps", "6"),
        ("steps", "8"),
        ("epoch", "8"),
    ]
    events = {}
    for file in (tmp_path / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                scalar = tf.make_ndarray(value.tensor)
                events[value.tag, event.step] = float(scalar)
    for row in rows:
        prefix = "train" if row["scope"] == "steps" else "epoch"
        for name in ("loss", "learning_rate", "uniformity", "z_std"):
            if row[name] in ("", "nan"):
                continue
            event = events[f"{prefix}/{name}", int(row["step"])]
            assert event == pytest.approx(float(row[name]), rel=1e-5)
    assert ("train/images_per_second", 4) in events
    # Means of the intervals: those of two halves make that of the epoch.
    first, second, epoch = (float(r["loss"]) for r in rows[:3])
    assert epoch == pytest.approx((first + second) / 2, rel=1e-4)


def test_keeps_the_newest_checkpoints_only(pretraining, tmp_path):
    pretraining.fit(tmp_path, 4, keep=2)
    found = checkpointing.checkpoints(tmp_path / "checkpoints")
    assert [path.name for path in found] == [
        "step-00000012.npz",
        "step-00000016.npz",
    ]


def test_damaged_checkpoint_is_named_and_the_one_before_taken(
    pretraining, tmp_path
):
    whole = pretraining.fit(tmp_path, 3)
    newest = checkpointing.newest_intact(tmp_path / "checkpoints")
    os.truncate(newest, newest.stat().st_size // 2)
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged"):
        before = checkpointing.newest_intact(tmp_path / "checkpoints")
    assert before.name == "step-00000008.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        resumed = pretraining.fit(tmp_path, 3)
    _assert_same(whole, resumed)


def test_load_model_takes_run_checkpoint_and_file(pretraining, tmp_path):
    pretraining.fit(tmp_path, 1)
    model = pretraining.model
    checkpoint = tmp_path / "checkpoints" / "step-00000004.npz"
    model.save(tmp_path / "model.keras")
    for path in (tmp_path, checkpoint, tmp_path / "model.keras"):
        loaded = sk.training.load_model(path)
        _assert_same_weights(model, loaded)
    with pytest.raises(ValueError, match="does not exist"):
        sk.training.load_model(tmp_path / "nothing")


def test_models_load_in_a_process_that_has_used_nothing(pretraining, tmp_path):
    """A run by `load_model`, and a file by Keras's own."""
    pretraining.fit(tmp_path / "run", 1)
    pretraining.model.save(tmp_path / "file.keras")
    processes = [
        forked.Process(LOAD_ANEW, [tmp_path / name], tmp_path / f"{name}.log")
        for name in ("run", "file.keras")
    ]
    for process in processes:
        assert process.wait() == 0, process.text()[-3000:]
        assert process.text().split()[-1] == "SimCLR"


def test_a_fit_after_a_resumed_one_starts_at_the_beginning(
    pretraining, tmp_path
):
    pretraining.fit(tmp_path)
    pretraining.fit(tmp_path)
    history = pretraining.model.fit(pretraining.data(), epochs=1, verbose=0)
    assert history.epoch == [0]


def test_a_fit_after_one_that_failed_starts_at_the_beginning(
    pretraining, tmp_path
):
    """It had resumed when a callback behind it raised."""

    class Fails(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise RuntimeError("no")

    pretraining.fit(tmp_path)
    pretraining.begin_anew()
    callbacks = [*sk.training.callbacks(tmp_path), Fails()]
    with pytest.raises(RuntimeError, match="no"):
        pretraining.model.fit(
            pretraining.data(), epochs=9, callbacks=callbacks, verbose=0
        )
    history = pretraining.model.fit(pretraining.data(), epochs=1, verbose=0)
    assert history.epoch == [0]


def test_loss_that_is_no_number_stops_the_run(pretraining, tmp_path):
    pretraining.begin_anew()
    model = pretraining.model
    weights = [np.full_like(w, np.nan) for w in model.encoder.get_weights()]
    model.encoder.set_weights(weights)
    callbacks = sk.training.callbacks(tmp_path)
    with pytest.raises(RuntimeError, match="loss is nan at step 1"):
        model.fit(pretraining.data(), callbacks=callbacks, verbose=0)


def test_first_loss_is_shown_beside_random_guessing(
    pretraining, tmp_path, capsys
):
    pretraining.fit(tmp_path, 1)
    out = capsys.readouterr().out
    # log(2 * 8 - 1): all other views of the batch are equally likely.
    assert f"8 images gives {np.log(15):.4f}" in out


def test_a_run_ends_after_its_last_step(pretraining, tmp_path):
    """Two steps into its second epoch of four, of which the first is resumed.

    The steps of the model before the run do not count.
    """

    def fit(name, epochs):
        (run_callback,) = sk.training.callbacks(tmp_path / name, log_every=2)
        run_callback.last_step = 6
        pretraining.begin_anew()
        return pretraining.fit_with(run_callback, epochs)

    pretraining.fit(tmp_path / "parts", 1)
    for epochs in (2, 2, 3):  # after the first there is nothing left to do
        parts = fit("parts", epochs)
        found = checkpointing.checkpoints(tmp_path / "parts/checkpoints")
        assert [path.stem for path in found] == [
            "step-00000004",
            "step-00000006",
        ]
    _assert_same(fit("whole", 2), parts)
    (run_callback,) = sk.training.callbacks(tmp_path / "more")
    run_callback.last_step = 6
    pretraining.fit_with(run_callback, 3)
    assert int(compat.as_numpy(pretraining.model.optimizer.iterations)) == 12


@pytest.mark.parametrize(
    "options",
    [
        dict(checkpoint_epochs=-1),
        dict(keep=-1),
        dict(log_every=-1),
    ],
)
def test_bad_numbers_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        sk.training.callbacks(tmp_path, **options)
