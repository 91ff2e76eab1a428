"""The page and figures of a study, of every kind, with numbers made up."""

import json
import types

import pytest

from simclr_keras.report import study_page
from simclr_keras.studies import catalog
from simclr_keras.studies import cells
from simclr_keras.studies.options import Options

pytestmark = pytest.mark.newest
BASE = types.SimpleNamespace(
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


@pytest.mark.parametrize("name", catalog.STUDIES)
def test_every_study_is_drawn(tmp_path, name):
    study, evaluations, made = _cells(tmp_path, name, seeds=2)
    page = study_page.write(tmp_path, study, evaluations, made, {})
    figures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    kinds = {name.rpartition(".")[2] for name in figures}
    assert kinds == {"png", "svg", "pdf"}
    text = page.read_text()
    assert study.question in text and study.source in text
    assert text.count("data:image/svg+xml") == len(figures) // 3
    table = (tmp_path / "table.md").read_text()
    assert "± " in table and table.count("\n|") >= 3
    assert text.count("<tr>") >= table.count("\n|") - 1


def test_what_has_not_ended_is_left_open(tmp_path):
    study, evaluations, made = _cells(tmp_path, "loss", seeds=1, until=1)
    states = {made[1].name: "failed"}
    page = study_page.write(tmp_path, study, evaluations, made, states)
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert [",finished," in row for row in rows[1:4]] == [True, False, False]
    assert ",failed," in rows[2] and ",not finished," in rows[3]
    assert f"<li>{made[1].name}</li>" in page.read_text()


@pytest.mark.parametrize("name", catalog.STUDIES)
def test_a_pre_training_that_is_not_measured_yet(tmp_path, name):
    """Its kNN accuracy is there, and belongs to no line."""
    study, evaluations, made = _cells(tmp_path, name, seeds=1, until=0)
    directory = made[0].runs[0].directory
    directory.mkdir(parents=True)
    (directory / "results.json").write_text('{"knn_accuracy": 0.5}')
    study_page.write(tmp_path, study, evaluations, made, {})
    assert "| 50.0 |" in (tmp_path / "table.md").read_text()


def test_before_the_first_result_there_is_no_figure(tmp_path):
    study, evaluations, made = _cells(tmp_path, "loss", seeds=1, until=0)
    study_page.write(tmp_path, study, evaluations, made, {})
    assert not (tmp_path / "figures").exists()
