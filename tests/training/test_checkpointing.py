"""Checkpoint files: what they hold, and what damage, crashes, full disks do."""

import errno
import io
import json
import os
import resource
import signal
import threading
import zipfile

import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras.training import checkpointing
from simclr_keras.training import state


def _packed(step, size=1000, best=None):
    """What `pack` makes, of a model that is one array full of the step."""
    return {
        "weights/0000": np.full(size, step, np.float32),
        "model.json": "{}",
        "notes.json": json.dumps({"step": step, "best": best}),
    }


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


def _step(checkpoint):
    """The step that both the notes and the array of a checkpoint say."""
    arrays, notes, _ = checkpointing.read(checkpoint)
    assert set(arrays["weights/0000"]) == {notes["step"]}
    return notes["step"]


def test_a_checkpoint_brings_every_variable_back(training, tmp_path):
    """Weights, slots, step and metrics, after all of them were spoilt."""
    before = training.fit(tmp_path, epochs=1)
    model = training.model
    variables = {id(variable) for variable in model.weights}
    for metric in state.metrics_of(model):
        variables.update(id(variable) for variable in metric.variables)
    count = len(variables) + len(model.trainable_variables)  # and slots
    # And the optimizer's step; Keras 3 counts its learning rate too.
    assert count + 1 <= len(before) <= count + 2
    path = checkpointing.write(tmp_path, checkpointing.pack(model, {"step": 4}))
    spoilt = {k: np.ones_like(v) for k, v in before.items()}
    state.write_model(model, spoilt)
    state.write_metrics(model, spoilt)
    arrays, notes, _ = checkpointing.read(path)
    state.write_model(model, arrays)
    state.write_metrics(model, state.metrics_alone(arrays))
    assert notes == {"step": 4}
    after = state.read(model)
    assert after.keys() == before.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], name)
        assert after[name].dtype == before[name].dtype


def test_training_on_leaves_alone_what_is_still_to_be_written(
    pretraining, tmp_path
):
    pretraining.fit(tmp_path, epochs=1)
    packed = checkpointing.pack(pretraining.model, {"step": 4})
    known = {k: np.copy(v) for k, v in packed.items()}
    pretraining.model.fit(pretraining.data(), verbose=0)
    for name in known:
        np.testing.assert_array_equal(packed[name], known[name], name)
    assert any(
        np.any(value != known[name])
        for name, value in state.read(pretraining.model).items()
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda a: a.pop("weights/0000"), "weights/0000 of shape None"),
        (lambda a: a.update({"weights/0000": np.ones(7)}), r"shape \(7,\)"),
        (lambda a: a.update({"optimizer/0999": np.ones(7)}), "optimizer/0999"),
    ],
    ids=["missing", "another shape", "left over"],
)
def test_arrays_of_another_model_are_refused(pretraining, change, message):
    arrays = state.read(pretraining.model)
    change(arrays)
    with pytest.raises(ValueError, match=message):
        state.write_model(pretraining.model, arrays)


def _flip(path):
    data = bytearray(path.read_bytes())
    data[data.index(b"NUMPY") + 1000] ^= 1  # within the array
    path.write_bytes(data)


def _cut(part):
    return lambda path: os.truncate(path, int(part * path.stat().st_size))


def _foreign(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.txt", "not a checkpoint")


@pytest.mark.parametrize(
    "spoil, problem",
    [
        (_cut(0.0), "not a zip file"),
        (_cut(0.01), "not a zip file"),
        (_cut(0.5), "not a zip file"),
        (_cut(0.99), "not a zip file"),
        (_flip, "Bad CRC-32 for file 'weights/0000.npy'"),
        (_foreign, "no model.json in it"),
        (lambda path: path.write_text("text"), "not a zip file"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(
    tmp_path, spoil, problem
):
    before = checkpointing.write(tmp_path, _packed(4))
    newest = checkpointing.write(tmp_path, _packed(8))
    assert checkpointing.newest_intact(tmp_path) == newest
    spoil(newest)
    with pytest.warns(UserWarning) as caught:
        assert checkpointing.newest_intact(tmp_path) == before
    (said,) = {str(warning.message) for warning in caught}
    assert said.startswith(f"checkpoint {newest} is damaged (")
    assert problem in said
    newest.unlink()
    spoil(before)
    with pytest.warns(UserWarning, match=f"{before} is damaged"):
        assert checkpointing.newest_intact(tmp_path) is None


@pytest.mark.newest
def test_no_bit_flips_unnoticed(tmp_path):
    """The file is called damaged, or what is read is what was written."""
    data = checkpointing.write(tmp_path, _packed(4, size=1)).read_bytes()
    written = checkpointing.read(data)
    detected = 0
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            if checkpointing._problem(io.BytesIO(flipped)):
                detected += 1
            else:  # a date, say
                assert checkpointing.read(bytes(flipped)) == written
    assert detected > 4 * len(data)


@pytest.mark.newest
def test_no_missing_end_goes_unnoticed(tmp_path):
    data = checkpointing.write(tmp_path, _packed(4, size=1)).read_bytes()
    for length in range(len(data)):
        assert checkpointing._problem(io.BytesIO(data[:length]))
    assert not checkpointing._problem(io.BytesIO(data))


def test_what_a_kill_left_aside_does_no_harm_and_vanishes(tmp_path):
    before = checkpointing.write(tmp_path, _packed(4), best=True)
    for name in (".partial", ".best.partial"):
        (tmp_path / name).write_bytes(before.read_bytes()[:100])
    assert checkpointing.newest_intact(tmp_path) == before
    checkpointing.write(tmp_path, _packed(8))
    assert _names(tmp_path) == [
        "best.npz",
        "step-00000004.npz",
        "step-00000008.npz",
    ]


@pytest.mark.parametrize("links", [True, False])
def test_the_best_checkpoint_stays_beside_the_newest(
    tmp_path, monkeypatch, links
):
    if not links:
        monkeypatch.setattr(os, "link", _raises(errno.EPERM))
    for step in (4, 8, 12):
        path = checkpointing.write(tmp_path, _packed(step), 1, best=step == 4)
        assert _step(path) == step
    assert _names(tmp_path) == ["best.npz", "step-00000012.npz"]
    assert _step(tmp_path / "best.npz") == 4


def test_a_new_checkpoint_is_kept_rather_than_a_damaged_later_one(tmp_path):
    damaged = checkpointing.write(tmp_path, _packed(8))
    _flip(damaged)
    path = checkpointing.write(tmp_path, _packed(4), keep=1)
    with pytest.warns(UserWarning, match="step-00000008.npz is damaged"):
        assert checkpointing.newest_intact(tmp_path) == path


class _Killed(BaseException):
    pass


@pytest.mark.newest
def test_a_kill_at_any_moment_leaves_the_best_that_the_notes_name(
    tmp_path, monkeypatch
):
    """`best.npz` may be ahead of the checkpoints, never behind them."""
    checkpointing.write(tmp_path, _packed(0, best=0), 1, best=True)
    moment, done = 0, False
    while not done:
        step, moment = moment + 1, moment + 1
        packed = _packed(step, best=step)
        with monkeypatch.context() as patched:
            _kill_before_call(patched, moment, type(tmp_path))
            try:
                checkpointing.write(tmp_path, packed, 1, best=True)
                done = True
            except _Killed:
                pass
        newest = checkpointing.newest_intact(tmp_path)
        _, notes, _ = checkpointing.read(newest)
        assert _step(tmp_path / "best.npz") >= notes["best"]
        path = checkpointing.write(tmp_path, packed, 1, best=True)
        assert _names(tmp_path) == ["best.npz", path.name]
        assert _step(path) == _step(tmp_path / "best.npz") == step
    assert moment > 5  # fsync, link, two renames and what vanishes


def _kill_before_call(patched, number, path_type):
    """Nothing of the file system happens any more from that call on."""
    calls = []

    def mortal(known):
        def call(*arguments, **named):
            calls.append(known)
            if len(calls) >= number:
                raise _Killed
            return known(*arguments, **named)

        return call

    for name in ("fsync", "link", "replace"):
        patched.setattr(os, name, mortal(getattr(os, name)))
    patched.setattr(path_type, "unlink", mortal(path_type.unlink))


def _raises(number, after=0):
    calls = []

    def call(*arguments, **named):
        calls.append(arguments)
        if len(calls) > after:
            raise OSError(number, os.strerror(number))
        return known(*arguments, **named)

    known = checkpointing._add
    return call


@pytest.mark.newest
@pytest.mark.parametrize("after", range(3))
def test_a_disk_that_is_full_leaves_the_checkpoint_before(
    tmp_path, monkeypatch, after
):
    before = checkpointing.write(tmp_path, _packed(4))
    monkeypatch.setattr(checkpointing, "_add", _raises(errno.ENOSPC, after))
    _assert_next_fails(tmp_path, before, "No space left on device")


def test_a_file_that_cannot_grow_leaves_the_checkpoint_before(tmp_path):
    """For real: the kernel refuses to write beyond a limit, here 1 MB.

    The array is of 4 MB, so that the limit is met in the middle of it.
    """
    before = checkpointing.write(tmp_path, _packed(4))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN  # Python's choice
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, limits[1]))
    try:
        _assert_next_fails(tmp_path, before, "File too large", size=10**6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _assert_next_fails(directory, before, why, **options):
    writer = checkpointing.Writer(directory, keep=1)
    writer.submit(_packed(8, **options))
    with pytest.raises(RuntimeError) as caught:
        writer.wait()
    said = str(caught.value)
    assert why in said
    assert f"The one before is intact: {before}." in said
    assert "run the same command again" in said
    assert _names(directory) == [before.name]
    assert _step(before) == 4
    writer.wait()  # said once


def test_an_error_of_any_kind_is_said_when_the_next_one_is_due(
    tmp_path, monkeypatch
):
    writer = checkpointing.Writer(tmp_path, keep=1)
    monkeypatch.setattr(checkpointing, "_add", lambda *_: 1 / 0)
    writer.submit(_packed(4))
    with pytest.raises(RuntimeError, match="division by zero.*none before it"):
        writer.submit(_packed(8))
    assert _names(tmp_path) == []


def test_checkpoints_are_written_in_the_background_one_by_one(
    tmp_path, monkeypatch
):
    add, let_go = checkpointing._add, threading.Event()

    def waiting(archive, name, value):
        assert let_go.wait(timeout=60)
        add(archive, name, value)

    monkeypatch.setattr(checkpointing, "_add", waiting)
    writer = checkpointing.Writer(tmp_path, keep=0)
    writer.submit(_packed(4))
    assert not checkpointing.checkpoints(tmp_path)
    let_go.set()
    writer.submit(_packed(8))
    assert checkpointing.checkpoints(tmp_path)[0].name == "step-00000004.npz"
    writer.wait()
    assert [_step(c) for c in checkpointing.checkpoints(tmp_path)] == [4, 8]


def test_load_model_takes_the_best_checkpoint_too(pretraining, tmp_path):
    class Accuracy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["knn_accuracy"] = 1.0 - epoch

    last = pretraining.fit(tmp_path, epochs=2, before=[Accuracy()])
    checkpoints = tmp_path / "checkpoints"
    newest = state.read(sk.training.load_model(tmp_path))
    best = state.read(sk.training.load_model(checkpoints / "best.npz"))
    first, notes, _ = checkpointing.read(checkpoints / "step-00000004.npz")
    assert notes["best"] == {"name": "knn_accuracy", "value": 1.0, "step": 4}
    for name in last:
        if name.startswith("metrics/"):  # a loaded model has not begun
            continue
        np.testing.assert_array_equal(newest[name], last[name], name)
        np.testing.assert_array_equal(best[name], first[name], name)


@pytest.mark.parametrize("name", ["step-00000004.npz", "notes.txt"])
def test_load_model_says_what_is_no_checkpoint(tmp_path, name):
    (tmp_path / name).write_text("text")
    with pytest.raises(ValueError, match=f"{name}', which is none of these"):
        sk.training.load_model(tmp_path / name)
    with pytest.raises(ValueError, match="which has none"):
        sk.training.load_model(tmp_path)
