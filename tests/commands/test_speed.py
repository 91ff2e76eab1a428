"""Flags that say how fast, and with which numbers, a training runs."""

import json
import types

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from absl import flags as absl_flags

from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import build
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import training_checks
from simclr_keras.distribute import strategy
from simclr_keras.training import RunDirectory


def _parse(*arguments, command=pretrain):
    return command_line.parse(command.define_flags, arguments)


@pytest.mark.newest
@pytest.mark.parametrize(
    "argument, value",
    [
        ("--jit=auto", "auto"),
        ("--jit=on", "on"),
        ("--jit=off", "off"),
        ("--jit", "on"),
        ("--nojit", "off"),
        ("--jit=true", "on"),
        ("--jit=False", "off"),
    ],
)
def test_jit_is_a_switch_and_takes_what_a_boolean_did(argument, value):
    flags = _parse(argument)
    assert flags.jit == value
    assert f"--jit={value}\n" in flags.flags_text


@pytest.mark.newest
def test_steps_to_profile_come_back_from_the_flags_file(tmp_path):
    assert _parse().profile_steps is None
    flags = _parse("--profile_steps=10,15")
    assert flags.profile_steps == (10, 15)
    (tmp_path / "flags.txt").write_text(flags.flags_text)
    assert _parse(f"--flagfile={tmp_path}/flags.txt") == flags


@pytest.mark.newest
@pytest.mark.parametrize(
    "argument, message",
    [
        ("--jit=fast", "jit=fast: must be auto, on or off"),
        ("--profile_steps=5", "profile_steps=5: must be two steps from 1"),
        ("--profile_steps=5,5", "first before the last"),
        ("--profile_steps=0,5", "two steps from 1"),
        ("--profile_steps=a,b", "two steps from 1"),
        ("--steps_per_execution=0", "steps_per_execution"),
        ("--cache=ram", "cache"),
        ("--cache_gib=-1", "cache_gib"),
    ],
)
def test_wrong_values_are_named(argument, message):
    with pytest.raises(absl_flags.Error, match=message):
        _parse(argument)


def test_xla_is_left_off_on_a_cpu_unless_asked_for(monkeypatch):
    def jit(value):
        flags = types.SimpleNamespace(jit=value, steps_per_execution=3)
        arguments = build.compile_arguments(flags)
        assert arguments["steps_per_execution"] == 3
        return arguments["jit_compile"]

    devices = []
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind=None: devices
    )
    assert [jit(x) for x in ("auto", "on", "off")] == [False, True, False]
    devices.append("GPU:0")
    assert [jit(x) for x in ("auto", "on", "off")] == [True, True, False]


@pytest.mark.newest
def test_speed_may_change_between_the_parts_of_a_run(tmp_path):
    """But not the steps of an execution: rows of metrics.csv lie at its end."""
    run = RunDirectory(tmp_path)
    may_change = _parse().may_change
    run.claim(_parse().flags_text)
    run.checkpoints.mkdir()
    for argument in (
        "--jit=on",
        "--cache=disk",
        "--cache_dir=/elsewhere",
        "--cache_gib=3",
        "--data_service=grpc://localhost:5050",
        "--profile_steps=10,15",
    ):
        run.claim(_parse(argument).flags_text, ignored=may_change)
    with pytest.raises(ValueError, match="steps_per_execution: 1 there, 2 now"):
        run.claim(
            _parse("--steps_per_execution=2").flags_text, ignored=may_change
        )


@pytest.mark.newest
@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--train_steps=4", "--profile_steps=3,5"],
            "within the run's 4 steps",
        ),
        (
            ["--train_steps=30", "--steps_per_execution=4"],
            "the 2 steps of the last fit epoch.*--steps_per_execution=4",
        ),
    ],
)
def test_steps_that_the_run_lacks_are_refused(arguments, message):
    """Of 70 images in batches of 10: four epochs, 28 steps, are one of fit."""
    flags = _parse("--train_batch_size=10", *arguments)
    with pytest.raises(ValueError, match=message):
        training_checks.check_steps(flags, 70)
    flags = _parse(
        "--train_batch_size=10", "--train_steps=32", "--steps_per_execution=4"
    )
    training_checks.check_steps(flags, 70)


@pytest.mark.newest
def test_workers_of_this_machine_share_its_memory(monkeypatch, no_cluster):
    assert strategy.workers_here() == 1
    config = {
        "cluster": {"worker": ["a:1", "a:2", "b:1"]},
        "task": {"type": "worker", "index": 1},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert strategy.workers_here() == 2


@pytest.fixture
def folder(tmp_path):
    """Two classes of 16 images of many sizes, and as many to test on."""
    rng = np.random.default_rng(0)
    for number in range(32):
        height, width = (int(n) for n in rng.integers(20, 40, 2))
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        split = "test" if number >= 16 else "train"
        path = tmp_path / "images" / split / f"class{number % 2}"
        path.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(image).save(path / f"{number}.png")
    return tmp_path / "images"


@pytest.mark.long
def test_float16_from_pretraining_to_fine_tuning(folder, tmp_path, capsys, run):
    """Two steps at a time, from a cache on the disk; pre-training profiled."""
    first, cache = tmp_path / "run", tmp_path / "cache"
    shared = (
        f"--dataset=folder:{folder}",
        "--precision=float16",
        "--train_batch_size=8",
        "--train_epochs=6",
        "--cache=disk",
        f"--cache_dir={cache}",
        "--steps_per_execution=2",
        "--verbose=0",
    )
    results = run(
        pretrain,
        *shared,
        "--profile_steps=2,4",
        f"--model_dir={first}",
        "--image_size=16",
        "--encoder=tiny",
        "--width_multiplier=0.25",
    )
    assert results["train_images"] == 16
    # Of twelve steps; the first ones only lower the scale of the loss.
    assert results["steps"] > 0
    out = capsys.readouterr().out
    assert "First step done" in out and f"Profile up to step 4: {first}" in out
    timing = json.loads((first / "timing.json").read_text())
    assert 0 < timing["seconds_to_first_step"]
    assert 0 < timing["images_per_second"]
    assert 0 <= timing.get("input_wait", 0) <= 1
    assert not set(timing) & set(results)
    assert len(list(cache.glob("*/pixels"))) == 1
    assert len(list(first.glob("tensorboard/plugins/profile/*/*"))) == 1
    for command in (linear_eval, finetune):
        results = run(
            command,
            *shared,
            f"--checkpoint={first}",
            f"--model_dir={tmp_path / command.__name__}",
        )
        assert results["test_images"] == 16
        assert results["steps"] > 0
        assert np.isfinite(results["loss"])
        assert "Decoded images of" in capsys.readouterr().out
