"""simclr-study: a grid of ordinary runs, gathered, resumed, and refused."""

import json

import numpy as np
import pytest
import studied

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import study
from simclr_keras.commands.common import command_line
from simclr_keras.studies import catalog
from simclr_keras.studies import processes

pytestmark = pytest.mark.newest
NAMED = [name for name in catalog.STUDIES if name != "grid"]


def _results(row, name):
    path = f"{row['directory']}/{name}/results.json"
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def test_a_grid_is_run_gathered_and_goes_on(tmp_path, run, started, capsys):
    arguments = [
        "--study=grid",
        "--grid=temperature=0.1,0.5",
        *studied.SMALL,
        f"--model_dir={tmp_path / 'study'}",
    ]
    page = run(study, *arguments)
    rows = studied.rows(tmp_path / "study")
    assert [row["temperature"] for row in rows] == ["0.1", "0.5"]
    few = "linear, 50 % of the labels"
    for row in rows:
        pretraining = _results(row, "pretrain")
        assert float(row["kNN"]) == pretraining["knn_accuracy"]
        assert pretraining["steps"] == 4
        linear = _results(row, "linear")
        assert float(row["linear"]) == linear["accuracy"]
        assert linear["labelled_images"] == 96
        assert (
            float(row[few])
            == _results(row, "linear_50_pct_of_the_labels")["accuracy"]
        )
    text = page.read_text()
    table = (tmp_path / "study" / "table.md").read_text()
    for row in rows:
        shown = f"{100 * float(row['linear']):.1f}"
        assert shown in text and shown in table
    for kind in ("png", "svg", "pdf"):
        assert (tmp_path / f"study/figures/accuracy.{kind}").stat().st_size
    assert len(started) == 6

    del started[:]
    run(study, *arguments)
    assert not started and studied.rows(tmp_path / "study") == rows
    capsys.readouterr()
    run(study, *arguments, "--seeds=2", "--dry_run")
    plan = capsys.readouterr().out
    assert "4 cells" in plan and "temperature=0.5, seed=1: 4 steps" in plan
    assert not started and studied.rows(tmp_path / "study") == rows


@pytest.mark.long
def test_a_failed_cell_is_named_and_tried_again(tmp_path, run, started):
    """`--grid` twice; the labels of one cell are those of its failure."""
    arguments = [
        "--study=grid",
        "--grid=learning_rate=1e30,0.001",
        "--grid=color_jitter_strength=0.5",
        *studied.SMALL,
        f"--model_dir={tmp_path / 'study'}",
    ]
    with pytest.raises(RuntimeError, match="1 of 2 cells failed") as error:
        run(study, *arguments)
    assert "learning_rate=1e30" in str(error.value)
    assert "pretrain.log" in str(error.value)
    rows = studied.rows(tmp_path / "study")
    assert [row["state"] for row in rows] == ["failed", "finished"]
    assert not rows[0]["linear"] and rows[1]["linear"]
    assert "learning_rate=1e30" in (tmp_path / "study/study.html").read_text()
    del started[:]
    with pytest.raises(RuntimeError, match="1 of 2 cells failed"):
        run(study, *arguments)
    assert [each.command for each in started] == ["pretrain"]


@pytest.mark.parametrize("name", NAMED)
def test_every_study_has_commands_that_parse(tmp_path, run, capsys, name):
    """And asks for no run twice."""
    more = {
        "augmentations": ["--image_size=32"],  # whole images
        "batch_and_epochs": ["--train_steps=0"],
        "transfer": ["--transfer_datasets=shapes"],
    }.get(name, [])
    run(
        study,
        f"--study={name}",
        *studied.SMALL,
        *more,
        "--dry_run",
        f"--model_dir={tmp_path / 'study'}",
    )
    lines = capsys.readouterr().out.splitlines()
    cells = [line for line in lines if " steps, " in line]
    assert len(set(cells)) == len(cells) >= 1
    assert f"{len(cells)} cells. How long" in lines[-1]
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grid=temperature=0.1"], "--study must be one of"),
        (["--study=loss", "--grid=temperature=0.1"], "only then"),
        (["--study=grid"], "only then"),
        (["--study=transfer"], "--transfer_datasets must be given"),
        (["--study=grid", "--grid=temperature"], "--grid=temperature"),
        (["--study=grid", "--grid=seed=1,2"], "--grid=seed=1,2"),
        (["--study=grid", "--grid=temprature=1,2"], "--grid=temprature"),
        (["--study=grid", "--grid=temperature=1,1"], "--grid=temperature=1,1"),
        (["--study=grid", "--grid=temperature=x"], "temperature=x, seed=0"),
        (
            ["--study=grid", "--grid=train_batch_size=16,97"],
            "96 training images",
        ),
        (["--study=loss", "--label_fractions=10"], "--label_fractions=10"),
        (["--study=loss", "--eval_split="], "must have labels"),
        (["--study=augmentations"], "16 x 16 pixels"),
        (
            ["--study=transfer", "--transfer_datasets=shapes,no_such_set"],
            "no_such_set",
        ),
        (
            ["--study=grid", "--grid=train_split=train[:50],nonsense"],
            "nonsense",
        ),
        (["--study=batch_and_epochs"], "--train_steps=4"),
        (["--study=loss", "--preview_views"], "--preview_views"),
        (
            ["--study=grid", "--grid=train_split=train[:50%],train[50%:]"],
            "two runs for",
        ),
    ],
)
def test_wrong_studies_are_refused_before_any_run(
    tmp_path, run, started, arguments, message
):
    with pytest.raises(ValueError, match=message):
        run(
            study,
            *studied.SMALL,
            *arguments,
            f"--model_dir={tmp_path / 'study'}",
        )
    assert not started and not (tmp_path / "study").exists()


def test_the_flags_of_a_study_are_read_again():
    grid = ["--grid=temperature=0.1,0.5", "--grid=weight_decay=0,1e-4"]
    first = command_line.parse(study.define_flags, ["--study=grid", *grid])
    lines = [x for x in first.flags_text.splitlines() if x.startswith("--")]
    again = command_line.parse(study.define_flags, lines)
    assert again.grid == ["temperature=0.1,0.5", "weight_decay=0,1e-4"]
    assert again.flags_text == first.flags_text


def test_another_study_in_the_directory_is_refused(tmp_path, run, monkeypatch):
    monkeypatch.setattr(processes, "run_cells", lambda *_: None)
    directory = f"--model_dir={tmp_path / 'study'}"
    run(study, *studied.SMALL, "--study=loss", directory)
    (tmp_path / "study" / "cells").mkdir()
    with pytest.raises(ValueError, match="--study"):
        run(study, *studied.SMALL, "--study=color_strength", directory)


@pytest.mark.long
def test_transformations_are_predicted_from_h_and_z(
    tmp_path, run, started, monkeypatch
):
    """One of the four settings, on images without labels."""
    whole = catalog.STUDIES["transformations"]
    short = whole._replace(points=lambda *args: whole.points(*args)[1:2])
    monkeypatch.setitem(catalog.STUDIES, "transformations", short)
    pixels = data.open_source("shapes", "train[:96]").images
    np.savez(tmp_path / "set.npz", x_train=pixels[:64], x_test=pixels[64:])
    run(
        study,
        "--study=transformations",
        *studied.SMALL,
        f"--dataset=arrays:{tmp_path / 'set.npz'}",
        "--train_split=train",
        "--eval_split=test",
        f"--model_dir={tmp_path / 'study'}",
    )
    (row,) = studied.rows(tmp_path / "study")
    assert (row["predicted"], row["guess"]) == ("rotation", "25 %")
    assert row["state"] == "finished" and row["kNN"] == ""
    for name, slug in (("from h", "from_h"), ("from z", "from_z")):
        results = _results(row, slug)
        assert float(row[name]) == results["accuracy"]
        assert results["predicted"] == "rotation"
    model = sk.training.load_model(f"{row['directory']}/pretrain")
    width = model.encoder.output_shape[-1]
    assert model.projection_head.out_dim == width == 13  # a tenth of 128
    assert model.views.first.append == ["rotation"]
    assert (tmp_path / "study" / "figures" / "accuracy.png").stat().st_size


@pytest.mark.long
@pytest.mark.parametrize("name", NAMED)
def test_every_study_runs(tmp_path, run, started, monkeypatch, name):
    """With its first two settings; the rest differs in values of flags."""
    whole = catalog.STUDIES[name]
    short = whole._replace(points=lambda *args: whole.points(*args)[:2])
    monkeypatch.setitem(catalog.STUDIES, name, short)
    more = {
        "augmentations": ["--image_size=32"],  # whole images
        "batch_and_epochs": ["--train_steps=0"],
        "transfer": ["--transfer_datasets=shapes"],
    }.get(name, [])
    run(
        study,
        f"--study={name}",
        *studied.SMALL,
        *more,
        f"--model_dir={tmp_path / 'study'}",
    )
    rows = studied.rows(tmp_path / "study")
    assert {row["state"] for row in rows} == {"finished"}
    assert list((tmp_path / "study" / "figures").glob("*.svg"))
