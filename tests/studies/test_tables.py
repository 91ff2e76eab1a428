"""Tables of a study hold what the runs' results hold."""

import csv
import io
import json

import numpy as np
import pytest

from simclr_keras.studies import cells
from simclr_keras.studies import failures
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


@pytest.fixture
def kept(tmp_path):
    """The failures of the study."""
    return failures.Failures(tmp_path)


def _state(made, kept):
    return tables.csv_text(made[3:], kept, []).splitlines()[1].split(",")[2]


def test_every_cell_is_a_row(made, kept):
    assert _state(made, kept) == "not finished"
    kept.add(failures.Failure(made[3].runs[1], 1, "why"))
    text = tables.csv_text(made, kept, ["kNN", "linear"])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["t"], row["seed"], row["linear"]) for row in rows] == [
        ("0.1", "0", "0.5"),
        ("0.5", "0", "0.25"),
        ("0.1", "1", "0.75"),
        ("0.5", "1", ""),
    ]
    assert [row["kNN"] for row in rows] == ["0.25", "0.125", "0.375", "0.0"]
    states = ["finished", "finished", "finished", "failed"]
    assert [row["state"] for row in rows] == states
    # What is begun again has not failed.
    kept.forget(made[3].runs[1])
    assert _state(made, kept) == "not finished"


def test_seeds_are_averaged(made, kept):
    (labels, first), (_, second) = tables.settings(made, kept)
    assert labels == {"t": "0.1"}
    both = [0.5, 0.75]
    mean, deviation, count, fewer = first["linear"]
    assert (mean, count, fewer) == (np.mean(both), 2, False)
    np.testing.assert_allclose(deviation, np.std(both, ddof=1))
    assert second["linear"] == tables.Spread(0.25, None, 1)
    assert str(first["linear"]) == "62.5 ± 17.7"
    assert str(second["linear"]) == "25.0"


def test_time_is_that_of_all_runs(made, kept):
    assert tables.seconds(made[0], kept) == 5.0
    assert tables.seconds(made[3], kept) is None
    # Of a cell that was tried it is that of what has ended.
    assert tables.seconds(made[3], kept, tried=True) == 2.5
    (made[3].runs[0].directory / "results.json").unlink()
    assert tables.seconds(made[3], kept, tried=True) is None


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


@pytest.fixture
def rates(tmp_path):
    """A cell with a supervised network at three rates."""
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
    return cell


def test_of_several_rates_the_best_counts_once_all_have_ended(rates, kept):
    low, middle, high = runs = rates.runs[1:]
    assert [run.flags["learning_rate"] for run in runs] == ["0.1", "0.2", "0.4"]
    assert len({run.directory for run in runs}) == 3
    _end(low, 0.25)
    _end(high, 0.5)
    assert tables.measures(rates, kept) == {}
    # One that was killed may yet be the best.
    kept.add(failures.Failure(middle, -9, ""))
    assert tables.measures(rates, kept) == {}
    assert tables.settings([rates], kept) == [({"t": "1"}, {})]
    assert kept.of(rates) == [failures.Failure(middle, -9, "")]
    _end(middle, 0.75)
    assert tables.measures(rates, kept) == {"supervised": 0.75}
    assert kept.of(rates) == []


def test_rates_that_diverged_are_passed_over_where_another_ended(
    tmp_path, rates, kept
):
    pretraining, low, middle, high = rates.runs
    _end(pretraining, 0.0)
    kept.add(failures.Failure(high, 1, "why", diverged=True))
    # The others may yet end.
    assert kept.of(rates) == [] and not kept.settled(rates, high)
    kept.add(failures.Failure(middle, 1, "why", diverged=True))
    kept.add(failures.Failure(low, 1, "why", diverged=True))
    assert [each.run for each in kept.of(rates)] == [low, middle, high]
    assert tables.state(rates, kept) == "failed"
    kept.forget(low)
    _end(low, 0.5)
    again = failures.Failures(tmp_path)
    assert again.of(rates) == [] and again.passed_over(rates) == [middle, high]
    assert tables.state(rates, again) == "finished"
    ((_, spreads),) = tables.settings([rates], again)
    assert spreads["supervised"] == tables.Spread(0.5, None, 1, fewer=True)
    assert str(spreads["supervised"]) == "50.0 †"
    assert ",finished,0.5," in tables.csv_text([rates], again, ["supervised"])
