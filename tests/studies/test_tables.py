"""Tables of a study hold what the runs' results hold."""

import csv
import io
import json

import numpy as np
import pytest

from simclr_keras.studies import cells
from simclr_keras.studies import tables
from simclr_keras.studies.study import Evaluation
from simclr_keras.studies.study import Point

pytestmark = pytest.mark.newest
EVALUATIONS = [Evaluation("linear", "linear_eval", {"protocol": "lbfgs"})]
FIGURES = {("0.1", 0): 0.5, ("0.1", 1): 0.75, ("0.5", 0): 0.25}


@pytest.fixture
def made(tmp_path):
    """Two settings with two seeds; a linear evaluation is missing."""
    points = [
        Point({"t": t}, {"temperature": t, "dataset": f"cifar{t}"})
        for t in ("0.1", "0.5")
    ]
    found = cells.make_cells(
        tmp_path,
        points,
        EVALUATIONS,
        range(2),
        {"dataset": "shapes"},
        {"linear_eval": {"dataset"}},
        {},
        {},
    )
    for cell in found:
        for run in cell.runs:
            key = cell.labels["t"], cell.seed
            name = "knn_accuracy" if run.measure is None else "accuracy"
            if name == "accuracy" and key not in FIGURES:
                continue
            run.directory.mkdir(parents=True)
            figure = FIGURES.get(key, 0.0) / (1 if run.measure else 2)
            for file, content in (
                ("results.json", {name: figure}),
                ("timing.json", {"seconds": 2.5}),
            ):
                (run.directory / file).write_text(json.dumps(content))
    return found


def test_every_cell_is_a_row(made):
    text = tables.csv_text(made, {made[1].name: "failed"}, ["kNN", "linear"])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["t"], row["seed"], row["linear"]) for row in rows] == [
        ("0.1", "0", "0.5"),
        ("0.5", "0", "0.25"),
        ("0.1", "1", "0.75"),
        ("0.5", "1", ""),
    ]
    assert [row["kNN"] for row in rows] == ["0.25", "0.125", "0.375", "0.0"]
    states = ["finished", "failed", "finished", "not finished"]
    assert [row["state"] for row in rows] == states


def test_seeds_are_averaged(made):
    (labels, first), (_, second) = tables.settings(made, {})
    assert labels == {"t": "0.1"}
    both = [0.5, 0.75]
    mean, deviation, count = first["linear"]
    assert (mean, count) == (np.mean(both), 2)
    np.testing.assert_allclose(deviation, np.std(both, ddof=1))
    assert second["linear"] == tables.Spread(0.25, None, 1)
    assert str(first["linear"]) == "62.5 ± 17.7"
    assert str(second["linear"]) == "25.0"


def test_time_is_that_of_all_runs(made):
    assert tables.seconds(made[0]) == 5.0
    assert tables.seconds(made[3]) is None


def test_commands_of_a_cell(made):
    pretraining, linear = made[2].runs
    assert pretraining.directory.name == "pretrain"
    assert "--temperature=0.1" in pretraining.arguments
    assert "--seed=1" in linear.arguments
    assert f"--checkpoint={pretraining.directory}" in linear.arguments
    assert "--temperature=0.1" not in linear.arguments
    # What is measured on is what the cell was trained on, not the base.
    assert "--dataset=cifar0.1" in linear.arguments
    directories = {run.directory for cell in made for run in cell.runs}
    assert len(directories) == 8


def _end(run, accuracy):
    run.directory.mkdir(parents=True)
    content = json.dumps({"accuracy": accuracy})
    (run.directory / "results.json").write_text(content)


def test_of_several_rates_the_best_counts_once_all_have_ended(tmp_path):
    evaluation = Evaluation(
        "supervised", "finetune", {"from_scratch": "true"}, rates=(0.5, 1, 2)
    )
    (cell,) = cells.make_cells(
        tmp_path,
        [Point({"t": "1"}, {})],
        [evaluation],
        [0],
        {},
        {"finetune": ()},
        {},
        {"finetune": 0.2},
    )
    low, middle, high = runs = cell.runs[1:]
    rates = [run.flags["learning_rate"] for run in runs]
    assert rates == ["0.1", "0.2", "0.4"]
    assert len({run.directory for run in runs}) == 3
    _end(low, 0.25)
    _end(high, 0.5)
    assert tables.measures(cell) == {}
    # The middle one was tried, and cannot be had.
    assert tables.measures(cell, failed=True) == {"supervised": 0.5}
    states = {cell.name: tables.FAILED}
    ((_, spreads),) = tables.settings([cell], states)
    assert spreads["supervised"].mean == 0.5
    assert ",failed,0.5," in tables.csv_text([cell], states, ["supervised"])
    assert tables.settings([cell], {}) == [({"t": "1"}, {})]
    _end(middle, 0.75)
    assert tables.measures(cell) == {"supervised": 0.75}
