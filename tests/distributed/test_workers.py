"""Processes that train together: one dies, all are stopped, all go on."""

import json
import os
import pathlib
import re
import signal
import sys

import numpy as np
import pytest

from simclr_keras.training import checkpointing
from simclr_keras.training import interruption

LAUNCHER = pathlib.Path(__file__).resolve().parents[2] / "tools/launch_local"
# Starting takes most of the time: a small network, and no pause of an epoch.
FLAGS = (
    "--encoder=tiny",
    "--width_multiplier=0.25",
    "--train_split=train[:192]",
    "--eval_split=test[:64]",
    "--eval_every_epochs=4",
    "--train_batch_size=24",
    "--optimizer=adamw",
    "--learning_rate=0.0001",
    "--learning_rate_scaling=none",
    "--color_jitter_strength=0",
    "--knn_k=20",
    "--log_every=4",
    "--checkpoint_epochs=0",
    "--checkpoint_steps=6",
    "--verbose=0",
)


def _pretrain(steps, directory):
    """Pre-training; `steps` only tells how long it goes on."""
    return (
        sys.executable,
        "-m",
        "simclr_keras.commands.pretrain",
        f"--model_dir={directory}",
        f"--train_steps={steps}",
        *FLAGS,
    )


def _launch(workers, command):
    return (LAUNCHER, f"--workers={workers}", "--grace=60", "--", *command)


def _steps_saved(directory):
    found = checkpointing.checkpoints(directory / "checkpoints")
    return [int(path.stem.removeprefix("step-")) for path in found]


def _worker_pids(directory):
    """Process of each worker, by the environment that it was started in."""
    pids = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
            environment = (path / "environ").read_bytes()
        except OSError:
            continue
        found = re.search(rb'TF_CONFIG=[^\0]*"index": (\d)', environment)
        if found and f"--model_dir={directory}".encode() in command:
            pids[int(found[1])] = int(path.name)
    return pids


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "run"


@pytest.fixture(scope="module")
def bereaved(start, directory):
    """Two workers of which the second is killed after a checkpoint."""
    run = start(_launch(2, _pretrain(48, directory)))
    run.wait_for(lambda: _steps_saved(directory))
    os.kill(_worker_pids(directory)[1], signal.SIGKILL)
    return run, run.wait(60)


def test_a_worker_that_dies_ends_the_other_with_its_name(bereaved):
    """Within a minute, without a traceback, and with what to do next."""
    run, code = bereaved
    assert code == 128 + signal.SIGKILL
    said = [line for line in run.text().splitlines() if "Error" in line]
    assert len(said) == 1, run.text()[-3000:]
    assert said[0].startswith("[worker 0] Error: lost worker 1 (127.0.0.1:")
    assert "Start all workers again with the same command" in said[0]
    assert "Traceback" not in run.text()


def test_a_stopped_worker_stops_all_and_they_go_on_as_one_process(
    bereaved, start, directory
):
    """SIGTERM to one of two; the rest of the run is one process's."""
    before = _steps_saved(directory)[-1]
    run = start(_launch(2, _pretrain(48, directory)))
    run.wait_for(lambda: f"(step {before}" in run.text())
    run.wait_for(lambda: _steps_saved(directory)[-1] > before)
    os.kill(_worker_pids(directory)[1], signal.SIGTERM)
    assert run.wait(60) == interruption.EXIT_CODE, run.text()[-3000:]
    saved = int(re.search(r"SIGTERM: saved step (\d+)", run.text())[1])
    assert saved == _steps_saved(directory)[-1] > before
    assert f"Another worker was stopped: saved step {saved}" in run.text()

    rest = start(_pretrain(48, directory))
    assert rest.wait() == 0, rest.text()[-3000:]
    assert f"(step {saved}" in rest.text()
    results = json.loads((directory / "results.json").read_text())
    assert results["steps"] == 48


def test_the_curve_is_that_of_one_process(bereaved, start, directory, tmp_path):
    """Killed, stopped, resumed on other numbers of processes: the same curve.

    In float32. Images that were skipped, seen twice or drawn other views of
    would move a loss by several per cent, as batches differ by; rounding grows
    with the learning rate, which is a small one here.
    """
    whole = tmp_path / "whole"
    run = start(_pretrain(48, whole))
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
        assert steps["step"].tolist() == list(range(4, 49, 4))
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
        "flags.txt",
        "metrics.csv",
        "results.json",
        "tensorboard",
        "timing.json",
        "views.png",
    }


def test_a_batch_that_does_not_divide_is_refused(start, tmp_path):
    command = _pretrain(48, tmp_path / "run")
    run = start([*command, "--logical_cpus=5", "--strategy=mirrored"])
    assert run.wait() == 1
    assert "by the number of replicas, 5: 20 or 25 would" in run.text()
    assert not (tmp_path / "run").exists()
