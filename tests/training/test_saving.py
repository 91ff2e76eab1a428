"""When checkpoints are written, and how a `fit` goes on from one."""

import errno
import os
import shutil
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.training import checkpointing
from simclr_keras.training import state
from simclr_keras.training.metrics_file import MetricsFile


def _checkpoints(directory):
    found = checkpointing.checkpoints(directory / "checkpoints")
    return [int(path.stem.partition("-")[2]) for path in found]


def _assert_same(arrays, others):
    assert arrays.keys() == others.keys()
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], name)


class Accuracies(keras.callbacks.Callback):
    """Logs figures of each epoch, as a kNN evaluation does."""

    def __init__(self, *epochs):
        super().__init__()
        self._epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self._epochs[epoch])


def test_a_run_ends_with_the_same_bits_wherever_it_was_cut_off(
    training, tmp_path
):
    """Of two epochs of four steps: within each, and where one ends.

    `metrics.csv` lies there as the whole run left it, as after a kill.
    """
    whole = training.fit(tmp_path / "whole", checkpoint_steps=1, keep=0)
    assert _checkpoints(tmp_path / "whole") == [1, 2, 3, 4, 5, 6, 7, 8]
    metrics = (tmp_path / "whole" / "metrics.csv").read_bytes()
    for step in (1, 4, 6):
        part = tmp_path / str(step)
        shutil.copytree(tmp_path / "whole", part)
        for later in range(step + 1, 9):
            (part / f"checkpoints/step-{later:08d}.npz").unlink()
        _assert_same(whole, training.fit(part))
        assert (part / "metrics.csv").read_bytes() == metrics


def test_going_on_says_where(pretraining, tmp_path, capsys):
    pretraining.fit(tmp_path, epochs=1, checkpoint_steps=3, keep=0)
    pretraining.fit(tmp_path)
    newest = tmp_path / "checkpoints" / "step-00000004.npz"
    assert f"Resumed from {newest} (step 4)." in capsys.readouterr().out
    newest.unlink()
    (tmp_path / "checkpoints" / "step-00000008.npz").unlink()
    pretraining.fit(tmp_path)
    said = "step-00000003.npz (step 3, 3 steps into epoch 1)."
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, steps",
    [
        ({}, [4, 8]),
        ({"checkpoint_epochs": 2}, [8]),
        ({"checkpoint_epochs": 0, "checkpoint_steps": 3}, [3, 6, 8]),
        (
            {"checkpoint_epochs": 0, "checkpoint_minutes": 1e-9},
            list(range(1, 9)),
        ),
        ({"checkpoint_steps": 1, "keep": 3}, [6, 7, 8]),
        *(
            pytest.param(options, steps, marks=pytest.mark.long)
            for options, steps in (
                ({"checkpoint_epochs": 0}, [8]),
                ({"checkpoint_epochs": 0, "checkpoint_steps": 4}, [4, 8]),
                ({"checkpoint_epochs": 0, "checkpoint_minutes": 60.0}, [8]),
            )
        ),
    ],
)
def test_checkpoints_are_written_when_they_are_due(
    pretraining, tmp_path, options, steps
):
    """Of eight steps in two epochs; the last one is saved in any case."""
    pretraining.fit(tmp_path, **{"keep": 0, **options})
    assert _checkpoints(tmp_path) == steps


def test_the_best_one_is_that_of_the_best_figure_that_is_logged(
    pretraining, tmp_path
):
    """kNN counts before the validation, even where its figure is lower."""
    figures = [
        ({"val_probe_accuracy": 0.9}, 4),
        ({"val_probe_accuracy": 0.8}, 4),
        ({"val_probe_accuracy": 0.99, "knn_accuracy": 0.1}, 12),
        ({"val_probe_accuracy": 1.0}, 12),
        ({"knn_accuracy": 0.1}, 12),  # not better
        ({"knn_accuracy": 0.2}, 24),
    ]
    for epochs, (_, best) in enumerate(figures, 1):
        accuracies = Accuracies(*(logged for logged, _ in figures))
        pretraining.fit(tmp_path, epochs, before=[accuracies], keep=1)
        _, notes, _ = checkpointing.read(tmp_path / "checkpoints" / "best.npz")
        assert notes["step"] == notes["best"]["step"] == best
        assert _checkpoints(tmp_path) == [epochs * 4]


def test_no_checkpoint_is_the_best_on_the_images_of_the_training(
    pretraining, tmp_path
):
    """Only what was not trained on tells which is: nothing did here."""
    accuracies = Accuracies({"probe_accuracy": 0.1}, {"probe_accuracy": 0.9})
    pretraining.fit(tmp_path, before=[accuracies], checkpoint_epochs=0)
    assert _checkpoints(tmp_path) == [8]
    assert not (tmp_path / "checkpoints" / "best.npz").exists()


def test_the_best_one_is_saved_where_no_checkpoint_is_due(
    pretraining, tmp_path
):
    accuracies = Accuracies({"knn_accuracy": 0.2}, {"knn_accuracy": 0.1})
    pretraining.fit(tmp_path, before=[accuracies], checkpoint_epochs=0)
    assert _checkpoints(tmp_path) == [4, 8]


@pytest.fixture(scope="module")
def begun(pretraining, tmp_path_factory):
    """Directory of a run of one epoch, which nobody may change."""
    directory = tmp_path_factory.mktemp("begun")
    pretraining.fit(directory, epochs=1)
    return directory


@pytest.mark.parametrize(
    "changed, difference",
    [
        ({"temperature": 0.2}, "loss.temperature: 0.5 there, 0.2 now"),
        ({"peak": 0.1}, "learning_rate.config.peak: 0.05 there, 0.1 now"),
        ({"channels": (8,)}, "encoder.channels.0: 4 there, 8 now"),
        ({"color_strength": 0.5}, "config.color_strength: 1.0 there, 0.5 now"),
        ({"batch_size": 16}, "global_batch_size: 8 there, 16 now"),
    ],
)
def test_a_directory_of_other_settings_is_refused(
    pretraining, make_simclr, begun, changed, difference
):
    files = {p: p.read_bytes() for p in begun.rglob("*") if p.is_file()}
    changed = dict(changed)
    data = pretraining.data(changed.pop("batch_size", 8))
    model = make_simclr(**changed)
    with pytest.raises(ValueError, match="run of other settings") as caught:
        model.fit(data, callbacks=sk.training.callbacks(begun), verbose=0)
    lines = str(caught.value).splitlines()
    assert any(difference in line for line in lines[1:])
    assert lines[-1].startswith("Name another directory")
    assert files == {p: p.read_bytes() for p in begun.rglob("*") if p.is_file()}


def test_another_precision_is_refused(pretraining, make_simclr, begun):
    """Of the projection head too, whose encoder may not be one of ours."""
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = make_simclr()
        with pytest.raises(ValueError) as caught:
            model.fit(
                pretraining.data(),
                callbacks=sk.training.callbacks(begun),
                verbose=0,
            )
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for part in ("encoder", "projection_head"):
        line = f"{part}.dtype: float32 there, mixed_bfloat16 now"
        assert line in str(caught.value)


def test_a_plain_dataset_gets_checkpoints_of_epochs_only(pretraining, tmp_path):
    """It has no way to begin within an epoch."""
    plain = tf.data.Dataset.from_tensors(next(iter(pretraining.data())))
    plain = plain.repeat(4)
    options = {"checkpoint_steps": 1, "checkpoint_minutes": 1e-9, "keep": 0}
    pretraining.fit(tmp_path, data=plain, **options)
    assert not pretraining.model.fit_position.starts_within
    assert _checkpoints(tmp_path) == [4, 8]
    whole = pretraining.fit(tmp_path / "whole", 3, data=plain)
    _assert_same(whole, pretraining.fit(tmp_path, 3, data=plain))


def test_a_plain_dataset_cannot_go_on_within_an_epoch(pretraining, tmp_path):
    pretraining.fit(tmp_path, checkpoint_steps=3, keep=0)
    (tmp_path / "checkpoints" / "step-00000008.npz").unlink()
    plain = tf.data.Dataset.from_tensors(next(iter(pretraining.data())))
    with pytest.raises(ValueError, match="simclr_keras.data") as caught:
        pretraining.fit(tmp_path, data=plain.repeat(4))
    assert "step-00000006.npz, 2 steps into epoch 2" in str(caught.value)
    assert _checkpoints(tmp_path) == [3, 4, 6]


def test_a_full_disk_ends_the_run_and_the_one_before_goes_on(
    pretraining, tmp_path, monkeypatch
):
    whole = pretraining.fit(tmp_path / "whole", 3)
    add, steps = checkpointing._add, []

    def full(archive, name, value):
        steps.extend([name] * (name == "notes.json"))
        if len(steps) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        add(archive, name, value)

    monkeypatch.setattr(checkpointing, "_add", full)
    before = tmp_path / "checkpoints" / "step-00000004.npz"
    with pytest.raises(RuntimeError) as caught:
        pretraining.fit(tmp_path, 3)
    assert "No space left on device" in str(caught.value)
    assert f"The one before is intact: {before}." in str(caught.value)
    assert list((tmp_path / "checkpoints").iterdir()) == [before]
    monkeypatch.setattr(checkpointing, "_add", add)
    _assert_same(whole, pretraining.fit(tmp_path, 3))


@pytest.fixture(scope="module")
def whole(pretraining, tmp_path_factory):
    """The variables after two epochs that nothing disturbed."""
    return pretraining.fit(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    "owner, name, error",
    [
        (MetricsFile, "write", OSError(errno.ENOSPC, "No space left")),
        (
            tf.summary,
            "scalar",
            tf.errors.ResourceExhaustedError(
                None, None, "No space left\n\tCould not flush events file."
            ),
        ),
    ],
    ids=["Python", "TensorFlow"],
)
def test_logs_on_a_full_disk_end_the_run_and_it_goes_on(
    pretraining, whole, tmp_path, monkeypatch, owner, name, error
):
    """As either of them says it."""
    known, calls = getattr(owner, name), []

    def full(*arguments, **named):
        if pretraining.model.optimizer.iterations >= 6:
            raise error
        calls.append(known(*arguments, **named))

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, full)
        with pytest.raises(RuntimeError) as caught:
            pretraining.fit(tmp_path)
    assert calls
    said = str(caught.value)
    assert f"the logs in {tmp_path} could not be written" in said
    assert "No space left" in said and "flush" not in said
    assert "run the same command again" in said
    assert _checkpoints(tmp_path) == [4]
    _assert_same(whole, pretraining.fit(tmp_path))


def test_nothing_is_written_any_more_when_a_fit_has_failed(
    pretraining, tmp_path, monkeypatch
):
    add, failing = checkpointing._add, threading.Event()

    def waiting(*arguments):
        assert failing.wait(timeout=60)
        time.sleep(0.01)
        add(*arguments)

    class Fails(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                failing.set()
                raise RuntimeError("for another reason")

    monkeypatch.setattr(checkpointing, "_add", waiting)
    path = tmp_path / "checkpoints" / "step-00000004.npz"
    with pytest.raises(RuntimeError, match="another reason"):
        pretraining.fit(tmp_path, before=[Fails()])
    assert list((tmp_path / "checkpoints").iterdir()) == [path]


def _fit_keras_model(directory, epochs, *layers, before=()):
    """Trains a model that is not ours, step by step alike in every run."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Input((3,)), *layers, keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(
        np.eye(3),
        np.ones((3, 2)),
        epochs=epochs,
        shuffle=False,
        callbacks=[*before, *sk.training.callbacks(directory)],
        verbose=0,
    )
    return state.read(model)


def test_a_model_that_is_not_ours_goes_on_with_its_momentum(tmp_path):
    """Keras creates its optimizer's state only with the first step."""
    whole = _fit_keras_model(tmp_path / "whole", 3)
    _fit_keras_model(tmp_path / "parts", 1)
    _assert_same(whole, _fit_keras_model(tmp_path / "parts", 3))


@pytest.mark.skipif(
    not compat.KERAS_3, reason="Keras 2.15 does not tell dropout's state"
)
def test_dropout_goes_on_where_it_was(tmp_path):
    def fit(name, epochs):
        dropout = keras.layers.Dropout(0.5)
        return _fit_keras_model(tmp_path / name, epochs, dropout)

    whole = fit("whole", 3)
    fit("parts", 1)
    _assert_same(whole, fit("parts", 3))


def test_a_learning_rate_that_callbacks_change_is_no_other_setting(tmp_path):
    """Gone on from twice: the second time from a rate that was restored."""

    def fit(name, epochs):
        halved = keras.callbacks.LearningRateScheduler(lambda e, _: 0.1 / 2**e)
        return _fit_keras_model(tmp_path / name, epochs, before=[halved])

    whole = fit("whole", 3)
    for epochs in (1, 2, 3):
        parts = fit("parts", epochs)
    _assert_same(whole, parts)
