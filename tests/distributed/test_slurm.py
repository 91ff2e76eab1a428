"""Two processes that SLURM's variables make tasks train as one."""

import csv
import json
import os

import forked
import pytest

FLAGS = (
    "--encoder=tiny",
    "--width_multiplier=0.25",
    "--train_split=train[:32]",
    "--eval_split=",
    "--train_batch_size=16",
    "--train_steps=4",
    "--log_every=2",
    "--lineareval_while_pretraining=false",
    "--verbose=0",
)


@pytest.mark.newest
def test_two_tasks_are_one_training(tmp_path):
    """Each says so, one of them writes, and both end together."""
    directory = tmp_path / "run"
    step = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
    }
    runs = [
        forked.Process(
            "pretrain",
            [f"--model_dir={directory}", *FLAGS],
            tmp_path / f"task-{rank}.log",
            SLURM_PROCID=str(rank),
            **step,
        )
        for rank in range(2)
    ]
    for run in runs:
        assert run.wait() == 0, run.text()[-3000:]
        said = "2 workers, 2 CPU replicas (multi_worker: SLURM has started 2"
        assert said in run.text()
    with open(directory / "metrics.csv", newline="") as file:
        steps = [row["step"] for row in csv.DictReader(file)]
    assert steps == sorted(steps) and steps[-1] == "4"
    assert json.loads((directory / "results.json").read_text())["steps"] == 4
    assert f"Run directory: {directory}" in runs[0].text()
    assert str(directory) not in runs[1].text()
    assert "The first worker writes the run directory" in runs[1].text()
