"""NaN stops a run before it is saved, and the run can be gone on with."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.training import checkpointing


class SpoilAt(keras.callbacks.Callback):
    """Makes a weight NaN after some step, as a broken gradient would."""

    def __init__(self, step):
        super().__init__()
        self._left = step

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if not self._left:
            weight = self.model.encoder.trainable_variables[0]
            weight.assign(weight * np.nan)


def _steps(directory):
    return [
        checkpointing.read(path)[1]["step"]
        for path in checkpointing.checkpoints(directory / "checkpoints")
    ]


def _is_finite(path):
    arrays, _, _ = checkpointing.read(path)
    return all(
        np.isfinite(array).all()
        for name, array in arrays.items()
        if not name.startswith("metrics/")
    )


def test_spoilt_weights_are_not_saved(pretraining, tmp_path):
    """Four steps are an epoch: step 4 is saved, steps 6 and 8 would be."""
    with pytest.raises(RuntimeError) as caught:
        pretraining.fit(
            tmp_path,
            epochs=2,
            before=[SpoilAt(6)],
            checkpoint_steps=2,
        )
    assert _steps(tmp_path) == [2, 4]
    newest = tmp_path / "checkpoints" / "step-00000004.npz"
    said = str(caught.value)
    assert "not finite after step 6" in said
    assert f"The last checkpoint whose weights are finite is {newest}" in said
    assert "--change_learning_rate" in said
    assert _is_finite(newest)


def test_the_loss_of_the_next_step_says_it(pretraining, tmp_path):
    with pytest.raises(RuntimeError, match="the loss is nan at step 3") as e:
        pretraining.fit(tmp_path, before=[SpoilAt(2)], checkpoint_epochs=1)
    assert "No checkpoint was written before" in str(e.value)
    assert _steps(tmp_path) == []


def test_a_pixel_that_is_nan_is_named(pretraining, tmp_path):
    images = np.full((16, 16, 16, 3), 0.5, np.float32)
    images[9, 0, 0, 0] = np.nan
    data = tf.data.Dataset.from_tensor_slices(images).batch(8)
    with pytest.raises(ValueError, match="loss is nan at step 2.*one pixel"):
        pretraining.fit(tmp_path, data=data)


def test_a_checkpoint_of_nan_is_not_intact(pretraining, tmp_path):
    """As earlier releases wrote them."""
    pretraining.fit(tmp_path, epochs=1, checkpoint_steps=2)
    directory = tmp_path / "checkpoints"
    assert _steps(tmp_path) == [2, 4]
    model = pretraining.model
    packed = checkpointing.pack(model, {"step": 6})
    name = next(n for n in packed if n.startswith("weights/"))
    packed[name] = np.full_like(packed[name], np.inf)
    checkpointing.write(directory, packed)
    with pytest.warns(UserWarning, match=f"{name}.npy is not finite"):
        newest = checkpointing.newest_intact(directory)
    assert newest.name == "step-00000004.npz"


def test_steps_that_float16_leaves_out_stop_nothing(tmp_path):
    """A scale of 2^30 overflows float16 at the first steps, legitimately."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = sk.SimCLR(
            sk.TinyResNet((4,)),
            sk.ProjectionHead("linear", out_dim=8),
            sk.TwoViews(16, jit=False),
        )
    finally:
        keras.mixed_precision.set_global_policy("float32")
    optimizer = keras.mixed_precision.LossScaleOptimizer(
        keras.optimizers.SGD(0.01), initial_scale=2.0**30
    )
    model.compile(optimizer)
    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3))
    data = sk.data.load(images.astype(np.uint8), batch_size=8)
    before = model.encoder.get_weights()[0]
    model.fit(data, callbacks=sk.training.callbacks(tmp_path), verbose=0)
    # The gradients of these steps were no numbers: the weights stood still.
    np.testing.assert_array_equal(model.encoder.get_weights()[0], before)
    assert _steps(tmp_path) == [4]


@pytest.mark.parametrize(
    "kind", [pytest.param("number", marks=pytest.mark.long), "schedule"]
)
def test_a_run_goes_on_with_another_rate(make_simclr, tmp_path, kind):
    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3))

    def fit(rate, epochs, **options):
        model = make_simclr()
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
        model.compile(optimizer, model.loss)
        data = sk.data.load(images.astype(np.uint8), batch_size=8)
        callbacks = sk.training.callbacks(tmp_path, **options)
        model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0)
        return model

    before, after = 0.1, 0.01
    if kind == "schedule":
        before, after = (
            sk.WarmupCosine(peak, warmup_steps=0, total_steps=100)
            for peak in (before, after)
        )
    fit(before, 1)
    with pytest.raises(ValueError, match="run of other settings"):
        fit(after, 2)
    model = fit(after, 2, change_learning_rate=True)
    assert int(compat.as_numpy(model.optimizer.iterations)) == 8
    assert compat.learning_rate(model.optimizer) <= 0.0100001
    fit(after, 3)  # from now on it is the run's


def _pretrain(directory, *arguments):
    arguments = [
        "--encoder=tiny",
        "--width_multiplier=0.125",
        "--dataset=shapes",
        "--train_split=train[:32]",
        "--eval_split=",
        "--train_batch_size=16",
        "--nolineareval_while_pretraining",
        "--num_proj_layers=2",
        "--proj_out_dim=8",
        "--warmup_epochs=1",
        "--optimizer=momentum",
        "--precision=float32",
        "--verbose=0",
        f"--model_dir={directory}",
        *arguments,
    ]
    return pretrain.run(command_line.parse(pretrain.define_flags, arguments))


@pytest.mark.long
def test_the_advice_can_be_followed(tmp_path, monkeypatch):
    """A run of the command that ends at step 6, and goes on from step 4."""
    lines = ("--train_steps=8", "--checkpoint_steps=2", "--log_every=1")
    from simclr_keras.training import timing

    calls = []
    inner = timing.Timing.on_train_batch_end

    def spoil(self, batch, logs=None):
        inner(self, batch, logs)
        calls.append(batch)
        if len(calls) == 5:
            weight = self.model.encoder.trainable_variables[0]
            weight.assign(weight * np.nan)

    monkeypatch.setattr(timing.Timing, "on_train_batch_end", spoil)
    with pytest.raises(RuntimeError, match="step-00000004.npz"):
        _pretrain(tmp_path / "run", *lines)
    with pytest.raises(ValueError, match="--learning_rate: 0.3 there"):
        _pretrain(tmp_path / "run", *lines, "--learning_rate=0.1")
    changed = ("--learning_rate=0.1", "--change_learning_rate")
    results = _pretrain(tmp_path / "run", *lines, *changed)
    assert results["steps"] == 8
    flags = (tmp_path / "run" / "flags.txt").read_text()
    assert "--learning_rate=0.1\n" in flags
    assert (
        "--learning_rate=0.3\n"
        in (tmp_path / "run" / "flags.before.txt").read_text()
    )


def test_other_settings_stay_refused(tmp_path):
    run = sk.training.RunDirectory(tmp_path)
    run.claim("--learning_rate=1\n--temperature=1\n")
    run.checkpoints.mkdir()
    with pytest.raises(ValueError, match="--temperature: 1 there, 2 now"):
        run.claim(
            "--learning_rate=2\n--temperature=2\n", change=("learning_rate",)
        )
    run.claim("--learning_rate=2\n--temperature=1\n", change=("learning_rate",))
    run.write_new_flags()
    assert run.settings()["learning_rate"] == "2"
    run.write_results({}, {})
    with pytest.raises(ValueError, match="--learning_rate: 2 there, 3 now"):
        run.claim(
            "--learning_rate=3\n--temperature=1\n", change=("learning_rate",)
        )
