"""Several steps at a time, float16, and how often a step is traced."""

import shutil

import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.distribute import limits
from simclr_keras.training import checkpointing


def _checkpoints(directory):
    found = checkpointing.checkpoints(directory / "checkpoints")
    return [int(path.stem.partition("-")[2]) for path in found]


def _data():
    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3))
    return sk.data.load(images.astype(np.uint8), batch_size=8)


def _assert_same(arrays, others):
    assert arrays.keys() == others.keys()
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], name)


def _assert_same_from_anywhere(training, tmp_path, steps, cut=(6,)):
    """A whole run, and runs cut off after some of its checkpoints."""
    whole = training.fit(tmp_path / "whole", checkpoint_steps=1, keep=0)
    assert _checkpoints(tmp_path / "whole") == steps
    metrics = (tmp_path / "whole" / "metrics.csv").read_bytes()
    for step in cut:
        part = tmp_path / str(step)
        shutil.copytree(tmp_path / "whole", part)
        for later in range(step + 1, steps[-1] + 1):
            (part / f"checkpoints/step-{later:08d}.npz").unlink(True)
        _assert_same(whole, training.fit(part))
        assert (part / "metrics.csv").read_bytes() == metrics
    return whole


def test_three_steps_at_a_time_are_the_same_training(
    make_training, tmp_path, request
):
    """Epochs of four steps: executions of three and one.

    Checkpoints lie between executions, and a run goes on from each.
    """
    training = make_training(steps_per_execution=3)
    several = _assert_same_from_anywhere(
        training, tmp_path, [3, 4, 7, 8], (3, 7)
    )
    plain = {"SimCLR": "pretraining", "Classifier": "classification"}
    plain = request.getfixturevalue(plain[type(training.model).__name__])
    one = plain.fit(tmp_path / "one")
    for name in (name for name in one if name.startswith("weights")):
        # A loop of TensorFlow's may round otherwise: eight steps of 2^-24.
        np.testing.assert_allclose(several[name], one[name], 1e-4, 1e-6)


def test_more_steps_at_a_time_than_there_are_are_an_epoch(
    make_simclr, tmp_path, capsys
):
    model = make_simclr(compiled={"steps_per_execution": 9})
    options = {"checkpoint_steps": 1, "keep": 0}
    callbacks = sk.training.callbacks(tmp_path, **options)
    model.fit(_data(), epochs=2, callbacks=callbacks, verbose=0)
    assert _checkpoints(tmp_path) == [4, 8]
    assert "Loss of the first 4 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argument", [{"steps_per_execution": 2}, {"jit_compile": True}]
)
def test_what_several_replicas_cannot_do_is_refused(argument):
    with pytest.raises(ValueError, match="several replicas.*Received: "):
        limits.check_step(2, **argument)
    limits.check_step(1, **argument)


@pytest.fixture
def _float16():
    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


def _loss_scale(optimizer):
    if compat.KERAS_3:
        return optimizer.dynamic_scale
    return optimizer._loss_scale.current_loss_scale


def test_float16_goes_on_with_its_loss_scale(_float16, make_training, tmp_path):
    """The scale is too large for a run's first steps, which are left out.

    They count as steps: their images have been seen.
    """
    training = make_training()
    scale = {"SimCLR": 2.0**12, "Classifier": 2.0**22}
    scale = scale[type(training.model).__name__]
    for name, value in training._fresh.items():
        if name.startswith("optimizer") and value.size == 1 and value > 2**14:
            training._fresh[name] = np.array(scale, np.float32)
    whole = _assert_same_from_anywhere(training, tmp_path, list(range(1, 9)))
    # Halved once for each step that is left out.
    left_out = np.log2(scale / float(_loss_scale(training.model.optimizer)))
    assert 1 <= left_out <= 7
    if compat.KERAS_3:  # Keras 2.15 counts them as updates, too
        assert training.model.optimizer.iterations == 8 - left_out
    weights = [whole[name] for name in whole if name.startswith("weights")]
    assert all(np.isfinite(w).all() for w in weights)


def test_nothing_is_traced_after_the_first_step(
    make_training, tmp_path, monkeypatch
):
    """Epochs, validation, another `fit` and a resumed one: no new traces."""
    training = make_training()
    traces = []

    def counted(name):
        method = getattr(type(training.model), name)

        def step(self, data):
            traces.append(name)
            return method(self, data)

        monkeypatch.setattr(type(training.model), name, step)

    counted("train_step")
    counted("test_step")
    first = []

    class First(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if not first:
                first.extend(traces)

    def fit(epochs):
        training.begin_anew()
        training.model.fit(
            training.data(),
            epochs=epochs,
            validation_data=training.data(),
            callbacks=[First(), *sk.training.callbacks(tmp_path)],
            verbose=0,
        )

    fit(3)
    assert set(first) == {"train_step"}
    assert traces.count("train_step") == len(first)
    validations = traces.count("test_step")
    assert 0 < validations <= len(first)
    fit(5)  # goes on
    assert traces.count("train_step") == len(first)
    # A new `fit` has a new iterator for its validation, of the same kind.
    assert traces.count("test_step") == validations
