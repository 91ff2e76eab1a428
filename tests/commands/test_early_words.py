"""Settings that make no training are refused, or said, before any work."""

import warnings

import pytest

import simclr_keras as sk
from simclr_keras.commands import finetune
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import build
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import training_checks


def _flags(command, *arguments):
    return command_line.parse(command.define_flags, arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--train_batch_size=1"], "--train_batch_size must be at least 2"),
        (["--image_size=1", "--train_split=train[:16]"], "at least 8"),
    ],
)
def test_refused(tmp_path, arguments, message):
    target = tmp_path / "run"
    arguments = [f"--model_dir={target}", "--train_batch_size=8", *arguments]
    with pytest.raises(ValueError, match=message):
        pretrain.run(_flags(pretrain, *arguments))
    assert not target.exists()


@pytest.mark.parametrize("size", [1, 7, (32, 4)])
def test_views_of_a_few_pixels_are_refused(size):
    for make in (sk.TwoViews, sk.View, sk.views.CenterCrop):
        with pytest.raises(ValueError, match="`image_size` must be .* least 8"):
            make(size)


def test_a_warm_up_longer_than_the_run_is_said(capsys):
    """100 images in batches of 10: 10 steps an epoch; 20 of a warm-up of 100.

    At the last step, 19 of 100, the rate is 19 % of the peak.
    """
    arguments = ["--train_batch_size=10", "--train_steps=20"]
    flags = _flags(pretrain, *arguments, "--warmup_epochs=10")
    training_checks.check_steps(flags, 100)
    said = capsys.readouterr().out
    assert "--warmup_epochs=10 are 100 steps, the run has 20" in said
    assert "to 19% of its peak" in said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build.optimizer(flags, 100)
    training_checks.check_steps(
        _flags(pretrain, *arguments, "--warmup_epochs=1"), 100
    )
    training_checks.check_steps(_flags(finetune, *arguments), 100)
    assert capsys.readouterr().out == ""


def test_the_schedule_warns_too():
    with pytest.warns(sk.optimizers.CutWarmup, match="to 19% of its peak"):
        schedule = sk.WarmupCosine(0.4, warmup_steps=100, total_steps=20)
    assert float(schedule(19)) == pytest.approx(0.4 * 0.19)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sk.WarmupCosine(0.4, warmup_steps=19, total_steps=20)
        sk.WarmupCosine(0.4, warmup_steps=0, total_steps=1)
        # When a checkpoint is loaded, nothing can be done about it.
        sk.WarmupCosine.from_config(schedule.get_config())
