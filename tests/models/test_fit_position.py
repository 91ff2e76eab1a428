"""Where a `fit` stands, counted by hand, and who counts it."""

import types

import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.models.fit_position import FitPosition
from simclr_keras.training import checkpointing


def _model(steps_per_execution):
    return types.SimpleNamespace(steps_per_execution=steps_per_execution)


def _places(position):
    return position.fit_epoch, position.step, position.done


def test_epochs_and_steps_are_counted():
    position = FitPosition(steps=3)
    position.begin_fit_epoch(0)
    for _ in range(3):
        assert not position.fit_epoch_is_done
        position.end_step(_model(1))
    assert _places(position) == (0, 3, 3) and position.fit_epoch_is_done
    position.end_fit_epoch()
    assert _places(position) == (1, 0, 3)
    position.begin_fit_epoch(1)
    position.end_step(_model(1))
    assert _places(position) == (1, 1, 4)
    assert position.first_step == 0


def test_an_epoch_that_begins_late_has_fewer_steps():
    position = FitPosition(steps=3)
    position.resume_at(5, 2)
    position.begin_fit_epoch(5)
    assert (position.first_step, position.done) == (2, 0)
    position.end_step(_model(1))
    assert _places(position) == (5, 3, 1) and position.fit_epoch_is_done
    position.end_fit_epoch()
    position.begin_fit_epoch(6)
    assert (position.step, position.first_step) == (0, 0)


def test_a_fit_that_begins_at_another_epoch_begins_it_at_its_first_step():
    """As with `initial_epoch`, whatever a run directory says."""
    position = FitPosition(steps=3)
    position.resume_at(0, 2)
    position.begin_fit_epoch(4)
    assert _places(position) == (4, 0, 0)


def test_the_last_execution_of_an_epoch_can_have_fewer_steps():
    """Where the number of steps is unknown, nobody can say that it has."""
    for steps, done in ((5, [3, 5, 8]), (None, [3, 6, 9])):
        position, counted = FitPosition(steps=steps), []
        for executions in (2, 1):
            for _ in range(executions):
                position.end_step(_model(3))
                counted.append(position.done)
            position.end_fit_epoch()
        assert counted == done


@pytest.mark.parametrize(
    "several, every, before, expected",
    [
        (1, 3, 0, [3, 6, 9]),
        (1, 3, 2, [1, 4, 7]),
        (1, 4, -1, [1, 5, 9]),
        (2, 3, 0, [4, 6, 10]),
        (4, 3, 0, [4, 8, 12]),
        (1, 0, 0, []),
    ],
)
def test_multiples_are_passed_once(several, every, before, expected):
    position, passed = FitPosition(), []
    while position.done < 9:
        position.end_step(_model(several))
        if position.passed(every, before):
            passed.append(position.done)
    assert passed == expected


class Sees(keras.callbacks.Callback):
    """Notes the position when the user's callbacks are called."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        """After each step."""
        self.seen.append(_places(self.model.fit_position))


@pytest.fixture(scope="module")
def model():
    views = sk.TwoViews(16, jit=False, blur=False, color_strength=0.0)
    model = sk.SimCLR(sk.TinyResNet(channels=(4,)), views=views)
    model.compile(keras.optimizers.SGD(0.01))
    return model


def _data():
    draws = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3))
    return sk.data.load(draws.astype(np.uint8), batch_size=8)


def test_a_fit_keeps_its_position_on_the_model(model):
    sees = Sees()
    for _ in range(2):  # the second one begins anew
        model.fit(_data(), epochs=2, callbacks=[sees], verbose=0)
    one = [(0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 4), (1, 2, 5), (1, 3, 6)]
    assert sees.seen == 2 * one


def test_a_run_directory_counts_where_keras_has_made_the_list(model, tmp_path):
    """To a `CallbackList` none of ours is added: no epoch begins within."""

    def fit(epochs):
        callbacks = keras.callbacks.CallbackList(
            sk.training.callbacks(tmp_path, checkpoint_steps=1, keep=0),
            add_history=True,
            model=model,
            epochs=epochs,
            steps=3,
        )
        model.fit(_data(), epochs=epochs, callbacks=callbacks, verbose=0)
        found = checkpointing.checkpoints(tmp_path / "checkpoints")
        return [checkpointing.read(path)[1] for path in found]

    first = int(compat.as_numpy(model.optimizer.iterations))
    fit(1)
    notes = fit(2)
    names = ("step", "epoch", "step_in_epoch")
    assert [tuple(note[name] for name in names) for note in notes] == [
        (first + 3, 1, 0),
        (first + 6, 2, 0),
    ]
