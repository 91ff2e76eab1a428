"""SIGTERM and SIGINT: one saves and ends the process, a second one ends it."""

import os
import pathlib
import signal
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.training import checkpointing

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SCRIPT = pathlib.Path(__file__).with_name("stoppable.py")


class Sends(keras.callbacks.Callback):
    """Sends this process a signal in a step, or in the end of an epoch."""

    def __init__(self, number, step=None, epoch=None):
        super().__init__()
        self._number, self._step, self._epoch = number, step, epoch

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == self._step:
            os.kill(os.getpid(), self._number)

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self._epoch:
            os.kill(os.getpid(), self._number)


def _interrupted(training, directory, sends, **options):
    with pytest.raises(SystemExit) as caught:
        training.fit(directory, before=[sends], **options)
    assert caught.value.code == 75


def _newest(directory):
    checkpoint = checkpointing.newest_intact(directory / "checkpoints")
    return checkpointing.read(checkpoint)[1]


def _handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize(
    "name, number",
    [
        ("pretraining", signal.SIGTERM),
        ("pretraining", signal.SIGINT),
        pytest.param("classification", signal.SIGTERM, marks=pytest.mark.long),
    ],
)
def test_a_signal_saves_after_the_step_that_is_running(
    request, tmp_path, name, number, capfd
):
    training = request.getfixturevalue(name)
    whole = training.fit(tmp_path / "whole", epochs=2)
    part = tmp_path / "part"
    _interrupted(training, part, Sends(number, step=3))
    notes = _newest(part)
    assert (notes["step"], notes["step_in_epoch"]) == (3, 3)
    said = capfd.readouterr().err
    assert f"{number.name}: stopping after this step; a second one" in said
    assert f"{number.name}: saved step 3 in {part / 'checkpoints'};" in said
    assert said.endswith("the same command goes on from there. Exit code 75.\n")
    parts = training.fit(part, epochs=2)
    assert parts.keys() == whole.keys()
    for name in whole:
        np.testing.assert_array_equal(parts[name], whole[name], name)
    metrics = [d / "metrics.csv" for d in (part, tmp_path / "whole")]
    assert metrics[0].read_bytes() == metrics[1].read_bytes()


@pytest.mark.parametrize(
    "where, step",
    [({"step": 4}, 4), ({"epoch": 0}, 5)],
    ids=["its last step", "its evaluations"],
)
def test_at_the_end_of_an_epoch_its_evaluations_come_first(
    pretraining, tmp_path, where, step
):
    """A signal during them waits for a step, which is the next epoch's."""
    _interrupted(pretraining, tmp_path, Sends(signal.SIGTERM, **where))
    assert _newest(tmp_path)["step"] == step
    assert "epoch,0,4," in (tmp_path / "metrics.csv").read_text()


def test_a_run_that_is_at_its_end_ends(pretraining, tmp_path):
    pretraining.fit(tmp_path, before=[Sends(signal.SIGTERM, step=8)])
    assert _newest(tmp_path)["step"] == 8


def test_a_plain_dataset_names_the_checkpoint_that_there_is(
    pretraining, tmp_path, capfd
):
    """It gets those of epochs only: what came after is lost, and said so."""
    plain = tf.data.Dataset.from_tensors(next(iter(pretraining.data())))
    plain = plain.repeat(4)
    for step, saved, then in (
        (2, "nothing is saved", "begins again"),
        (6, "saved step 4", "goes on from there"),
        (7, "saved step 4", "goes on from there"),
    ):
        sends = Sends(signal.SIGTERM, step=step)
        _interrupted(pretraining, tmp_path, sends, data=plain)
        said = capfd.readouterr().err
        assert f"SIGTERM: {saved} in" in said
        assert f"; the same command {then}. Exit code" in said
    assert _newest(tmp_path)["step"] == 4


def test_the_same_callbacks_go_on_after_an_interruption(pretraining, tmp_path):
    callbacks = sk.training.callbacks(tmp_path)
    pretraining.begin_anew()

    def fit(*before):
        pretraining.model.fit(
            pretraining.data(),
            epochs=2,
            callbacks=[*before, *callbacks],
            verbose=0,
        )

    with pytest.raises(SystemExit):
        fit(Sends(signal.SIGINT, step=3))
    fit()
    assert _newest(tmp_path)["step"] == 8


class Fails(keras.callbacks.Callback):
    """Raises an error in a step."""

    def on_train_batch_end(self, batch, logs=None):
        raise RuntimeError("on purpose")


@pytest.mark.parametrize("end", ["well", "error", "refused", "signal"])
def test_signals_act_as_before_when_a_fit_has_ended(
    pretraining, make_simclr, tmp_path, end
):
    if end == "refused":
        pretraining.fit(tmp_path / "other", epochs=1)
    known = _handlers()
    own = [lambda number, frame: None, signal.SIG_IGN]
    for number, handler in zip(SIGNALS, own):
        signal.signal(number, handler)
    try:
        if end == "well":
            pretraining.fit(tmp_path, epochs=1)
        elif end == "error":
            with pytest.raises(RuntimeError, match="on purpose"):
                pretraining.fit(tmp_path, before=[Fails()])
        elif end == "refused":
            with pytest.raises(ValueError, match="other settings"):
                make_simclr(temperature=0.3).fit(
                    pretraining.data(),
                    callbacks=sk.training.callbacks(tmp_path / "other"),
                )
        else:
            sends = Sends(signal.SIGTERM, step=3)
            _interrupted(pretraining, tmp_path, sends)
        assert _handlers() == own
    finally:
        for number, handler in zip(SIGNALS, known):
            signal.signal(number, handler)


def test_outside_the_main_thread_a_fit_watches_no_signals(
    pretraining, tmp_path
):
    """Python hands signals to the main thread only."""
    whole, parts = pretraining.fit(tmp_path / "whole", epochs=1), {}
    known, seen = _handlers(), []

    class Sees(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(_handlers())

    def run():
        parts.update(pretraining.fit(tmp_path, 1, before=[Sees()]))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [known] * 4
    assert parts.keys() == whole.keys()
    for name in whole:
        np.testing.assert_array_equal(parts[name], whole[name], name)


@pytest.fixture(scope="module")
def start(fork):
    """Function of (run directory, step that waits) that starts the script."""
    return lambda directory, *waits_in: fork(SCRIPT, [directory, *waits_in])


def _signal_in_step_11(process, number):
    """Sends a signal in the third step of the second epoch."""
    process.wait_for(lambda: "step 11\n" in process.text())
    process.send_signal(number)
    said = f"{number.name}: stopping after this step; a second one"
    process.wait_for(lambda: f"{said} stops at once.\n" in process.text())


@pytest.fixture(scope="module")
def uninterrupted(start, tmp_path_factory):
    """`metrics.csv` and the last line of a run of the script."""
    directory = tmp_path_factory.mktemp("uninterrupted")
    process = start(directory)
    assert process.wait() == 0, process.text()
    last = process.text().splitlines()[-1]
    assert last.startswith("digest ")
    return (directory / "metrics.csv").read_bytes(), last


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)],
)
def test_a_process_that_was_stopped_goes_on_with_the_same_bits(
    start, uninterrupted, tmp_path, number
):
    directory = tmp_path / "run"
    process = start(directory, 11)
    _signal_in_step_11(process, number)
    (tmp_path / "go_on").touch()
    assert process.wait() == 75, process.text()
    assert f"{number.name}: saved step 11 in" in process.text()
    assert _newest(directory)["step"] == 11
    process = start(directory)
    assert process.wait() == 0, process.text()
    said = process.text()
    assert "step-00000011.npz (step 11, 3 steps into epoch 2)." in said
    metrics = (directory / "metrics.csv").read_bytes()
    assert (metrics, said.splitlines()[-1]) == uninterrupted


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGINT],
)
@pytest.mark.newest
def test_a_second_signal_stops_at_once(start, tmp_path, number):
    """Where the step that was to be saved does not end."""
    process = start(tmp_path / "run", 11)
    _signal_in_step_11(process, number)
    process.send_signal(number)
    assert process.wait(60) == -number
    assert _newest(tmp_path / "run")["step"] == 8
