"""The page and figures of a study, of every kind, with numbers made up."""

import json
import re
import types

import numpy as np
import pytest

from simclr_keras.report import study_page
from simclr_keras.report import study_plots
from simclr_keras.studies import catalog
from simclr_keras.studies import cells
from simclr_keras.studies import failures
from simclr_keras.studies import tables
from simclr_keras.studies.options import Options

pytestmark = pytest.mark.newest
BARS = study_plots.bars
BASE = types.SimpleNamespace(
    append_views=[],
    color_jitter_strength=1.0,
    encoder="tiny",
    train_batch_size=128,
    train_epochs=16,
    train_steps=0,
    micro_batch_size=None,
)


def _cells(directory, name, seeds, until=None):
    """Cells of a study, of which the first `until` have results."""
    study = catalog.STUDIES[name]
    options = Options({"temperature": ["0.1", "0.5"]}, [0.1], ["a", "b"])
    evaluations = study.evaluations(BASE, options)
    made = cells.make_cells(
        directory,
        study.points(BASE, options),
        evaluations,
        range(seeds),
        {},
        {"linear_eval": (), "finetune": ()},
        {flag: "1" for each in evaluations for flag in each.same},
        {"finetune": 0.05},
    )
    for number, cell in enumerate(made[:until]):
        for place, run in enumerate(cell.runs):
            run.directory.mkdir(parents=True)
            key = "accuracy" if place else "knn_accuracy"
            figure = 0.2 + 0.02 * number + 0.05 * place
            (run.directory / "results.json").write_text(
                json.dumps({key: figure})
            )
            (run.directory / "timing.json").write_text('{"seconds": 1.0}')
    return study, evaluations, made


def _write(directory, study, evaluations, made):
    kept = failures.Failures(directory)
    return study_page.write(directory, study, evaluations, made, kept)


@pytest.mark.parametrize("name", catalog.STUDIES)
def test_every_study_is_drawn(tmp_path, name):
    study, evaluations, made = _cells(tmp_path, name, seeds=2)
    page = _write(tmp_path, study, evaluations, made)
    figures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    kinds = {name.rpartition(".")[2] for name in figures}
    assert kinds == {"png", "svg", "pdf"}
    text = page.read_text()
    assert study.question in text
    assert ("arXiv 2002.05709, " + study.source in text) == bool(study.source)
    assert text.count("data:image/svg+xml") == len(figures) // 3
    table = (tmp_path / "table.md").read_text()
    lines = [line for line in table.splitlines() if line.startswith("|")]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines
    ]
    shown = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    shown = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in shown]
    assert shown[: len(rows) - 1] == [rows[0], *rows[2:]]
    assert all("±" in row[-2] for row in rows[2:])


def test_bars_show_what_the_study_names(tmp_path, monkeypatch):
    """Accuracies of other labels than those of kNN do not stand beside it."""
    drawn = {}
    monkeypatch.setattr(
        study_plots,
        "bars",
        lambda title, values: drawn.update(values) or BARS(title, values),
    )
    study, evaluations, made = _cells(tmp_path, "transformations", seeds=1)
    _write(tmp_path, study, evaluations, made)
    assert list(drawn)[1] == "predicted rotation, guess 25 %"
    assert {tuple(each) for each in drawn.values()} == {("from h", "from z")}
    assert "| kNN " in (tmp_path / "table.md").read_text()


def test_what_has_not_ended_is_left_open(tmp_path):
    study, evaluations, made = _cells(tmp_path, "loss", seeds=1, until=1)
    failure = failures.Failure(made[1].runs[0], 1, "why")
    failures.Failures(tmp_path).add(failure)
    page = _write(tmp_path, study, evaluations, made)
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert [",finished," in row for row in rows[1:4]] == [True, False, False]
    assert ",failed," in rows[2] and ",not finished," in rows[3]
    assert f"<li>{made[1].name}</li>" in page.read_text()


def test_figures_of_fewer_rates_are_marked(tmp_path):
    study, evaluations, made = _cells(tmp_path, "few_labels", seeds=1)
    table = tmp_path / "table.md"
    text = _write(tmp_path, study, evaluations, made).read_text()
    assert "†" not in text + table.read_text()
    last = made[0].runs[-1]
    (last.directory / "results.json").unlink()
    failure = failures.Failure(last, 1, "why", diverged=True)
    failures.Failures(tmp_path).add(failure)
    text = _write(tmp_path, study, evaluations, made).read_text()
    for each in (text, table.read_text()):
        assert each.count(" †") == 1
        assert each.count("† The best of fewer learning rates") == 1
    assert "<h2>Failed</h2>" not in text


@pytest.mark.parametrize("name", catalog.STUDIES)
def test_a_pre_training_that_is_not_measured_yet(tmp_path, name):
    """Its kNN accuracy is there, and belongs to no line."""
    study, evaluations, made = _cells(tmp_path, name, seeds=1, until=0)
    directory = made[0].runs[0].directory
    directory.mkdir(parents=True)
    (directory / "results.json").write_text('{"knn_accuracy": 0.5}')
    _write(tmp_path, study, evaluations, made)
    assert "| 50.0 |" in (tmp_path / "table.md").read_text()


def test_before_the_first_result_there_is_no_figure(tmp_path):
    study, evaluations, made = _cells(tmp_path, "loss", seeds=1, until=0)
    _write(tmp_path, study, evaluations, made)
    assert not (tmp_path / "figures").exists()


def _spread(mean, deviation=0.1):
    return tables.Spread(mean, deviation, 2)


def test_lines_have_the_points():
    series = {
        ("linear", "a"): [(4.0, _spread(0.5)), (1.0, _spread(0.25))],
        ("supervised", "a"): [(1.0, _spread(0.75))],
    }
    axes = study_plots.lines("title", "epochs", series).axes[0]
    drawn = [line.lines[0].get_xydata().tolist() for line in axes.containers]
    assert drawn == [[[1.0, 25.0], [4.0, 50.0]], [[1.0, 75.0]]]
    bars = axes.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bars[1], [[4.0, 40.0], [4.0, 60.0]])
    assert axes.get_xlabel() == "epochs"


def test_bars_have_the_points():
    values = {"t 0.1": {"kNN": _spread(0.5)}, "t 0.5": {"kNN": _spread(0.25)}}
    axes = study_plots.bars("title", values).axes[0]
    points = axes.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [[50.0, 0.0], [25.0, 1.0]])
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["t 0.1", "t 0.5"]


def test_a_matrix_has_the_pairs_on_both_sides():
    values = {("a", "a"): _spread(0.5), ("a", "b"): _spread(0.25)}
    figure = study_plots.matrix("title", ["a", "b"], values)
    drawn = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(
        np.ma.filled(drawn, np.nan), [[50.0, 25.0], [25.0, np.nan]]
    )
