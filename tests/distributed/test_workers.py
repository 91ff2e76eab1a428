"""Processes that train together: one dies, all are stopped, all go on."""

import json
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from simclr_keras.training import checkpointing
from simclr_keras.training import interruption

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Starting takes most of the time: a small network, and no pause of an epoch.
FLAGS = (
    "--encoder=tiny",
    "--width_multiplier=0.25",
    "--train_split=train[:96]",
    "--eval_split=test[:64]",
    "--eval_every_epochs=2",
    "--train_batch_size=24",
    "--optimizer=adamw",
    "--learning_rate=0.0001",
    "--learning_rate_scaling=none",
    "--color_jitter_strength=0",
    "--knn_k=20",
    "--log_every=2",
    "--checkpoint_epochs=0",
    "--checkpoint_steps=4",
    "--verbose=0",
)


@pytest.fixture(scope="module")
def pretrain(fork_workers):
    """Function of (run directory, workers) that starts a pre-training."""

    def start(directory, workers=1, *more):
        arguments = [
            f"--model_dir={directory}",
            "--train_steps=24",
            *FLAGS,
            *more,
        ]
        return fork_workers(workers, "pretrain", arguments)

    return start


def _steps_saved(directory):
    found = checkpointing.checkpoints(directory / "checkpoints")
    return [int(path.stem.removeprefix("step-")) for path in found]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "run"


@pytest.fixture(scope="module")
def bereaved(pretrain, directory):
    """Two workers of which the second is killed after a checkpoint."""
    first, second = pretrain(directory, 2)
    second.wait_for(lambda: _steps_saved(directory))
    second.send_signal(signal.SIGKILL)
    return first, first.wait(60)


def test_a_worker_that_dies_ends_the_other_with_its_name(bereaved):
    """Within a minute, without a traceback, and with what to do next."""
    worker, code = bereaved
    assert code == 1
    said = [line for line in worker.text().splitlines() if "Error" in line]
    assert len(said) == 1, worker.text()[-3000:]
    assert said[0].startswith("Error: lost worker 1 (127.0.0.1:")
    assert "Start all workers again with the same command" in said[0]
    assert "Traceback" not in worker.text()


def test_a_stopped_worker_stops_all_and_they_go_on_as_one_process(
    bereaved, pretrain, directory
):
    """SIGTERM to one of two; the rest of the run is one process's."""
    before = _steps_saved(directory)[-1]
    first, second = pretrain(directory, 2)
    first.wait_for(lambda: f"(step {before}" in first.text())
    first.wait_for(lambda: _steps_saved(directory)[-1] > before)
    second.send_signal(signal.SIGTERM)
    for worker in (first, second):
        assert worker.wait(60) == interruption.EXIT_CODE, worker.text()[-3000:]
    saved = int(re.search(r"SIGTERM: saved step (\d+)", second.text())[1])
    assert saved == _steps_saved(directory)[-1] > before
    assert f"Another worker was stopped: saved step {saved}" in first.text()

    (rest,) = pretrain(directory)
    assert rest.wait() == 0, rest.text()[-3000:]
    assert f"(step {saved}" in rest.text()
    results = json.loads((directory / "results.json").read_text())
    assert results["steps"] == 24


def test_the_curve_is_that_of_one_process(
    bereaved, pretrain, directory, tmp_path
):
    """Killed, stopped, resumed on other numbers of processes: the same curve.

    In float32. Images that were skipped, seen twice or drawn other views of
    would move a loss by several per cent, as batches differ by; rounding grows
    with the learning rate, which is a small one here.
    """
    whole = tmp_path / "whole"
    (run,) = pretrain(whole)
    assert run.wait() == 0, run.text()[-3000:]
    curves = []
    for path in (directory, whole):
        table = np.genfromtxt(
            path / "metrics.csv",
            delimiter=",",
            names=True,
            dtype=None,
            encoding="utf-8",
        )
        steps = table[table["scope"] == "steps"]
        assert steps["step"].tolist() == list(range(2, 25, 2))
        curves.append(steps)
    ours, theirs = curves
    assert np.abs(np.diff(theirs["loss"])).max() > 0.03 * theirs["loss"].mean()
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=5e-3)
    np.testing.assert_allclose(
        ours["learning_rate"], theirs["learning_rate"], rtol=1e-6
    )


def test_only_the_chief_writes(bereaved, directory):
    """One event file for each start, and nothing of the other's."""
    names = {path.name for path in directory.iterdir()}
    assert names <= {
        "checkpoints",
        "data.json",
        "environment.json",
        "flags.txt",
        "metrics.csv",
        "results.json",
        "tensorboard",
        "timing.json",
        "views.png",
    }


def test_a_batch_that_does_not_divide_is_refused(pretrain, tmp_path):
    flags = ("--logical_cpus=5", "--strategy=mirrored")
    (run,) = pretrain(tmp_path / "run", 1, *flags)
    assert run.wait() == 1
    assert "by the number of replicas, 5: 20 or 25 would" in run.text()
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_the_launcher_starts_a_pretraining(tmp_path):
    """The command of the README, shortened: new Pythons and the launcher."""
    run = tmp_path / "run"
    launch = [ROOT / "tools/launch_local", "--workers=2", "--grace=60", "--"]
    command = [sys.executable, "-m", "simclr_keras.commands.pretrain"]
    ended = subprocess.run(
        [*launch, *command, f"--model_dir={run}", "--train_steps=12", *FLAGS],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert json.loads((run / "results.json").read_text())["steps"] == 12
    assert "[worker 1] " in ended.stdout
