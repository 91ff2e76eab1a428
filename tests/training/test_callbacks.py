"""Resuming, logging and guarding a `fit`."""

import csv
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.training import checkpointing


def _model(optimizer="lars", rate=0.05):
    keras.utils.set_random_seed(1)
    model = sk.SimCLR(
        sk.TinyResNet(channels=(4, 8)),
        sk.ProjectionHead("nonlinear", num_layers=2, out_dim=8),
        sk.TwoViews(16, jit=False),
    )
    schedule = sk.WarmupCosine(rate, warmup_steps=2, total_steps=16)
    optimizer = sk.optimizers.create_optimizer(optimizer, schedule)
    model.compile(optimizer, sk.NTXent(0.5))
    return model


@pytest.fixture
def photos():
    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3))
    return lambda: sk.data.load(
        images.astype(np.uint8), image_size=16, batch_size=8, seed=3
    )


def _fit(directory, data, epochs, model=None, **options):
    model = model or _model()
    callbacks = sk.training.callbacks(directory, log_every=2, **options)
    model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0)
    return model


def _assert_same_weights(model, other):
    """Without those of metrics, which Keras 2.15 counts among them."""
    weights, others = compat.weights_of(model), compat.weights_of(other)
    assert len(weights) == len(others)
    for a, b in zip(weights, others):
        np.testing.assert_array_equal(compat.as_numpy(a), compat.as_numpy(b))


@pytest.mark.parametrize("optimizer", ["lars", "lamb"])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, photos, optimizer):
    whole = _fit(tmp_path / "whole", photos(), 4, _model(optimizer))
    _fit(tmp_path / "parts", photos(), 2, _model(optimizer))
    parts = _fit(tmp_path / "parts", photos(), 4, _model(optimizer))
    _assert_same_weights(whole, parts)
    whole, parts = (
        (tmp_path / name / "metrics.csv").read_text()
        for name in ("whole", "parts")
    )
    assert whole == parts


def test_metrics_and_tensorboard_say_the_same(tmp_path, photos):
    _fit(tmp_path, photos(), 2)
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


def test_keeps_the_newest_checkpoints_only(tmp_path, photos):
    _fit(tmp_path, photos(), 4, keep=2)
    found = checkpointing.checkpoints(tmp_path / "checkpoints")
    assert [path.name for path in found] == [
        "step-00000012.npz",
        "step-00000016.npz",
    ]


def test_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path, photos):
    _fit(tmp_path, photos(), 3)
    whole = sk.training.load_model(tmp_path)
    newest = checkpointing.newest_intact(tmp_path / "checkpoints")
    os.truncate(newest, newest.stat().st_size // 2)
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged"):
        before = checkpointing.newest_intact(tmp_path / "checkpoints")
    assert before.name == "step-00000008.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        resumed = _fit(tmp_path, photos(), 3)
    _assert_same_weights(whole, resumed)


def test_load_model_takes_run_checkpoint_and_file(tmp_path, photos):
    model = _fit(tmp_path, photos(), 1)
    checkpoint = tmp_path / "checkpoints" / "step-00000004.npz"
    model.save(tmp_path / "model.keras")
    for path in (tmp_path, checkpoint, tmp_path / "model.keras"):
        loaded = sk.training.load_model(path)
        _assert_same_weights(model, loaded)
    with pytest.raises(ValueError, match="does not exist"):
        sk.training.load_model(tmp_path / "nothing")


def test_load_model_in_a_process_that_knows_no_class_yet(tmp_path, photos):
    _fit(tmp_path, photos(), 1)
    code = (
        "import sys, simclr_keras as sk;"
        "print(type(sk.training.load_model(sys.argv[1])).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == "SimCLR"


def test_a_fit_after_a_resumed_one_starts_at_the_beginning(tmp_path, photos):
    _fit(tmp_path, photos(), 2)
    model = _fit(tmp_path, photos(), 2)
    history = model.fit(photos(), epochs=1, verbose=0)
    assert history.epoch == [0]


def test_loss_that_is_no_number_stops_the_run(tmp_path, photos):
    model = _model()
    weights = [np.full_like(w, np.nan) for w in model.encoder.get_weights()]
    model.encoder.set_weights(weights)
    with pytest.raises(RuntimeError, match="loss is nan at step 1"):
        _fit(tmp_path, photos(), 1, model)


def test_first_loss_is_shown_beside_random_guessing(tmp_path, photos, capsys):
    _fit(tmp_path, photos(), 1)
    out = capsys.readouterr().out
    # log(2 * 8 - 1): all other views of the batch are equally likely.
    assert f"8 images gives {np.log(15):.4f}" in out


@pytest.mark.parametrize(
    "options", [dict(checkpoint_epochs=-1), dict(keep=-1), dict(log_every=-1)]
)
def test_bad_numbers_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        sk.training.callbacks(tmp_path, **options)
