"""simclr-study: a grid of ordinary runs, gathered, resumed, and refused."""

import csv
import json
import subprocess

import forked
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import build
from simclr_keras.commands import command_line
from simclr_keras.commands import study
from simclr_keras.commands import study_checks
from simclr_keras.studies import catalog
from simclr_keras.studies import processes
from simclr_keras.training import finite

pytestmark = pytest.mark.newest
NAMED = [name for name in catalog.STUDIES if name != "grid"]
SMALL = (
    "--dataset=shapes",
    "--train_split=train[:96]",
    "--eval_split=test[:40]",
    "--encoder=tiny",
    "--width_multiplier=0.1",
    "--image_size=16",
    "--train_batch_size=16",
    "--train_steps=4",
    "--train_epochs=1",
    "--warmup_epochs=0",
    "--optimizer=adamw",
    "--knn_k=10",
    "--label_fractions=0.5",
    "--verbose=0",
)
# Of commands that are pretended, by their learning rate.
ACCURACIES = {None: 0.25, "0.015": 0.75, "0.05": 0.5, "0.15": 0.875}


class _Forked(forked.Process):
    """A command of a cell, as `subprocess.Popen` has it."""

    def terminate(self):
        self.send_signal(15)

    def wait(self, seconds=forked.SECONDS):
        self._process.join(seconds)
        if self.poll() is None:
            raise subprocess.TimeoutExpired("", seconds)
        return self.poll()


@pytest.fixture
def started(monkeypatch):
    """Runs commands as forks; the list of all that were begun."""
    begun = []

    def start(run, environment):
        begun.append(run)
        run.log.parent.mkdir(parents=True, exist_ok=True)
        return _Forked(run.command, run.arguments, run.log)

    monkeypatch.setattr(processes, "_start", start)
    return begun


def _rows(directory):
    with open(directory / "table.csv", newline="") as file:
        return list(csv.DictReader(file))


def _results(row, name):
    path = f"{row['directory']}/{name}/results.json"
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def test_a_grid_is_run_gathered_and_goes_on(tmp_path, run, started, capsys):
    arguments = [
        "--study=grid",
        "--grid=temperature=0.1,0.5",
        *SMALL,
        f"--model_dir={tmp_path / 'study'}",
    ]
    page = run(study, *arguments)
    rows = _rows(tmp_path / "study")
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
    assert not started and _rows(tmp_path / "study") == rows
    capsys.readouterr()
    run(study, *arguments, "--seeds=2", "--dry_run")
    plan = capsys.readouterr().out
    assert "4 cells" in plan and "temperature=0.5, seed=1: 4 steps" in plan
    assert not started and _rows(tmp_path / "study") == rows


@pytest.mark.long
def test_a_failed_cell_is_named_and_tried_again(tmp_path, run, started):
    """`--grid` twice; the labels of one cell are those of its failure."""
    arguments = [
        "--study=grid",
        "--grid=learning_rate=1e30,0.001",
        "--grid=color_jitter_strength=0.5",
        *SMALL,
        f"--model_dir={tmp_path / 'study'}",
    ]
    with pytest.raises(RuntimeError, match="1 of 2 cells failed") as error:
        run(study, *arguments)
    assert "learning_rate=1e30" in str(error.value)
    assert "pretrain.log" in str(error.value)
    rows = _rows(tmp_path / "study")
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
        *SMALL,
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
        (["--study=grid", "--grid=train_batch_size=16,97"], "the 96 images"),
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
        run(study, *SMALL, *arguments, f"--model_dir={tmp_path / 'study'}")
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
    run(study, *SMALL, "--study=loss", directory)
    (tmp_path / "study" / "cells").mkdir()
    with pytest.raises(ValueError, match="--study"):
        run(study, *SMALL, "--study=color_strength", directory)


class _Pretended:
    """A command that has ended; a rate of 0.15 has a code and no results."""

    def __init__(self, run, code=1):
        rate = run.flags.get("learning_rate")
        self._code = code if rate == "0.15" else 0
        run.log.parent.mkdir(parents=True, exist_ok=True)
        run.log.write_text(f"Error: the loss is nan. {finite.ADVICE}")
        if not self._code:
            run.directory.mkdir(exist_ok=True)
            figures = {"knn_accuracy": 0.125, "accuracy": ACCURACIES.get(rate)}
            (run.directory / "results.json").write_text(json.dumps(figures))
            (run.directory / "timing.json").write_text("{}")

    def poll(self):
        return self._code


@pytest.fixture
def pretended(monkeypatch):
    """Pretends commands; the list of all that were begun."""
    begun = []

    def start(run, environment):
        begun.append(run)
        return _Pretended(run)

    monkeypatch.setattr(processes, "_start", start)
    return begun


def _few_labels(directory):
    return (
        "--study=few_labels",
        *SMALL,
        "--color_jitter_strength=0.5",
        f"--model_dir={directory}",
    )


def test_a_supervised_figure_is_the_best_of_three_rates(
    tmp_path, run, pretended, capsys
):
    """Of which one diverges: it is passed over, and that is said."""
    arguments = _few_labels(tmp_path / "study")
    run(study, *arguments)
    assert "learning rates that diverged: 2" in capsys.readouterr().out
    assert len(pretended) == 1 + 2 * (1 + 1 + 3)
    (row,) = _rows(tmp_path / "study")
    assert row["state"] == "finished" and row["kNN"] == "0.125"
    for share in ("50 %", "100 %"):
        assert row[f"supervised, {share} of the labels"] == "0.75"
        assert row[f"fine-tuned, {share} of the labels"] == "0.25"
    table = (tmp_path / "study" / "table.md").read_text()
    assert table.count(" 75.0 † ") == 2
    for each in pretended[1:]:
        if each.command == "finetune":
            assert each.flags["color_jitter_strength"] == "0.5"
            assert not {"train_batch_size", "train_steps"} & {*each.flags}
    supervised = [each for each in pretended if "from_scratch" in each.flags]
    rates = [each.flags["learning_rate"] for each in supervised]
    assert rates == 2 * ["0.015", "0.05", "0.15"]
    del pretended[:]
    run(study, *arguments)
    assert not pretended
    assert (tmp_path / "study" / "table.md").read_text() == table


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("few_labels", [], None),
        ("few_labels", ["--image_size=32"], None),
        ("few_labels", ["--image_size=33"], "true"),
        ("few_labels", ["--image_size=33", "--nouse_blur"], "false"),
        ("few_labels", ["--image_size=32", "--use_blur"], "true"),
        ("few_labels", ["--checkpoint=model", "--image_size=0"], "true"),
        ("color_strength", ["--image_size=33"], "true"),
        (
            "transfer",
            ["--transfer_datasets=shapes", "--image_size=33"],
            None,
        ),
    ],
)
def test_networks_blur_where_the_pre_training_does(
    tmp_path, run, pretended, monkeypatch, name, arguments, expected
):
    """By the size of its images, where no flag says it."""
    monkeypatch.setattr(build, "pretrained", lambda *_: None)
    monkeypatch.setattr(build, "trained_size", lambda _: 33)
    directory = f"--model_dir={tmp_path / 'study'}"
    run(study, f"--study={name}", *SMALL, *arguments, directory)
    blurs = {"finetune": set(), "linear_eval": set()}
    for each in pretended:
        if each.measure is not None:
            blurs[each.command].add(each.flags.get("use_blur"))
    assert blurs == {"finetune": {expected}, "linear_eval": {None}}


def test_a_killed_run_leaves_its_figure_out(tmp_path, run, monkeypatch):
    """Until it has ended; the next start says so until it begins it again."""
    code, begun = -9, []

    def start(each, environment):
        begun.append(each)
        return _Pretended(each, code)

    monkeypatch.setattr(processes, "_start", start)
    arguments = _few_labels(tmp_path / "study")
    with pytest.raises(RuntimeError, match="1 of 1 cells failed") as error:
        run(study, *arguments)
    assert str(error.value).count("code -9") == 2
    assert str(error.value).count("rate=0.15.log") == 2
    (row,) = _rows(tmp_path / "study")
    name = "supervised, 50 % of the labels"
    assert row["state"] == "failed" and row[name] == ""
    assert row["fine-tuned, 50 % of the labels"] == "0.25"

    monkeypatch.setattr(processes, "run_cells", lambda *_: None)
    with pytest.raises(RuntimeError, match="code -9"):
        run(study, *arguments)
    assert _rows(tmp_path / "study") == [row]
    monkeypatch.undo()

    monkeypatch.setattr(processes, "_start", start)
    code = 0
    del begun[:]
    run(study, *arguments)
    assert [each.flags["learning_rate"] for each in begun] == 2 * ["0.15"]
    (row,) = _rows(tmp_path / "study")
    assert row["state"] == "finished" and row[name] == "0.875"
    assert "†" not in (tmp_path / "study" / "table.md").read_text()


def test_cells_that_failed_are_not_left_to_run(
    tmp_path, run, monkeypatch, capsys
):
    """Of three the second fails at once and the third in an evaluation."""

    def start(each, environment):
        temperature = each.directory.parts[-3].partition("=")[2]
        fails = (temperature, each.command) in (
            ("0.2", "pretrain"),
            ("0.3", "linear_eval"),
        )
        rate = {"learning_rate": "0.15"} if fails else {}
        process = _Pretended(each._replace(flags=rate))
        if not fails:
            timing = each.directory / "timing.json"
            timing.write_text('{"seconds": 600.0}')
        return process

    monkeypatch.setattr(processes, "_start", start)
    arguments = (
        "--study=grid",
        "--grid=temperature=0.1,0.2,0.3",
        *SMALL,
        "--label_fractions=1",
        f"--model_dir={tmp_path / 'study'}",
    )
    with pytest.raises(RuntimeError, match="2 of 3 cells failed"):
        run(study, *arguments)
    lines = [x for x in capsys.readouterr().out.splitlines() if x[:1] == "["]
    assert [line.rpartition(". ")[0].count("failed") for line in lines] == [
        0,
        1,
        1,
    ]
    # Each takes 20 minutes; the last one's evaluation has none.
    assert "About 40 min are left" in lines[0]
    assert "About 20 min are left" in lines[1]
    assert "Nothing is left to run" in lines[2]
    run(study, *arguments, "--dry_run")
    out = capsys.readouterr().out
    assert "3 cells. Nothing is left to run.\nNot counted: 2 that" in out


_PRETRAINED = "cells/pre-training=base/seed_0/pretrain"
_TUNED = "cells/pre-training=base/seed_0/fine-tuned_50_pct_of_the_labels"


def _left(directory, command, arguments):
    """A run that has ended, with its flags."""
    define = study_checks.COMMANDS[command].define_flags
    settings = command_line.parse(define, arguments)
    directory.mkdir(parents=True)
    (directory / "flags.txt").write_text(settings.flags_text)
    (directory / "results.json").write_text('{"accuracy": 0.5}')
    (directory / "timing.json").write_text("{}")


@pytest.mark.parametrize(
    ("name", "command", "changed", "message"),
    [
        (_PRETRAINED, "pretrain", {}, None),
        (_PRETRAINED, "pretrain", {"strategy": "single", "jit": "off"}, None),
        (
            _PRETRAINED,
            "pretrain",
            {"temperature": "0.7"},
            "--temperature: 0.7 there, 0.1 now",
        ),
        (_TUNED, "finetune", {"checkpoint": "elsewhere"}, None),
        (
            _TUNED,
            "finetune",
            {"color_jitter_strength": "0.0"},
            "--color_jitter_strength: 0.0 there, 0.5 now",
        ),
    ],
)
def test_a_run_of_other_flags_is_refused(
    tmp_path, run, started, capsys, name, command, changed, message
):
    """One that has ended, before any other is begun."""
    arguments = (
        "--study=few_labels",
        *SMALL,
        "--temperature=0.1",
        "--color_jitter_strength=0.5",
        f"--model_dir={tmp_path / 'study'}",
    )
    _, _, (cell,) = study._plan(
        command_line.parse(study.define_flags, arguments)
    )
    directory = tmp_path / "study" / name
    (each,) = [each for each in cell.runs if each.directory == directory]
    more = [f"--{flag}={text}" for flag, text in changed.items()]
    _left(directory, command, [*each.arguments, *more])
    if message is None:
        run(study, *arguments, "--dry_run")
        assert "1 cells." in capsys.readouterr().out
        return
    with pytest.raises(ValueError, match=message) as error:
        run(study, *arguments)
    assert str(directory) in str(error.value)
    assert str(error.value).count(" there, ") == 1
    assert not started and not (tmp_path / "study/flags.txt").exists()


def test_a_run_of_an_earlier_release_is_taken(tmp_path, run, capsys):
    """Its flags lack later ones, which have the value of then."""
    arguments = ("--study=few_labels", *SMALL)
    directory = f"--model_dir={tmp_path / 'study'}"
    _, _, (cell,) = study._plan(
        command_line.parse(study.define_flags, [*arguments, directory])
    )
    _left(cell.runs[0].directory, "pretrain", cell.runs[0].arguments)
    path = cell.runs[0].directory / "flags.txt"
    lines = path.read_text().splitlines(keepends=True)
    later = ("--folder_layout", "--split_order", "--flip")
    path.write_text("".join(x for x in lines if not x.startswith(later)))
    run(study, *arguments, directory, "--dry_run")
    assert "1 cells." in capsys.readouterr().out


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
        *SMALL,
        f"--dataset=arrays:{tmp_path / 'set.npz'}",
        "--train_split=train",
        "--eval_split=test",
        f"--model_dir={tmp_path / 'study'}",
    )
    (row,) = _rows(tmp_path / "study")
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
        *SMALL,
        *more,
        f"--model_dir={tmp_path / 'study'}",
    )
    rows = _rows(tmp_path / "study")
    assert {row["state"] for row in rows} == {"finished"}
    assert list((tmp_path / "study" / "figures").glob("*.svg"))
