"""simclr-study: what failed, diverged or was run with other flags."""

import json

import pytest
import studied

from simclr_keras.commands import study
from simclr_keras.commands import study_plan
from simclr_keras.commands.common import checkpoint
from simclr_keras.commands.common import command_line
from simclr_keras.studies import processes
from simclr_keras.training import finite

pytestmark = pytest.mark.newest
# Of commands that are pretended, by their learning rate.
ACCURACIES = {None: 0.25, "0.015": 0.75, "0.05": 0.5, "0.15": 0.875}


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
        *studied.SMALL,
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
    (row,) = studied.rows(tmp_path / "study")
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
    monkeypatch.setattr(checkpoint, "pretrained", lambda *_: None)
    monkeypatch.setattr(checkpoint, "trained_size", lambda _: 33)
    directory = f"--model_dir={tmp_path / 'study'}"
    run(study, f"--study={name}", *studied.SMALL, *arguments, directory)
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
    (row,) = studied.rows(tmp_path / "study")
    name = "supervised, 50 % of the labels"
    assert row["state"] == "failed" and row[name] == ""
    assert row["fine-tuned, 50 % of the labels"] == "0.25"

    monkeypatch.setattr(processes, "run_cells", lambda *_: None)
    with pytest.raises(RuntimeError, match="code -9"):
        run(study, *arguments)
    assert studied.rows(tmp_path / "study") == [row]
    monkeypatch.undo()

    monkeypatch.setattr(processes, "_start", start)
    code = 0
    del begun[:]
    run(study, *arguments)
    assert [each.flags["learning_rate"] for each in begun] == 2 * ["0.15"]
    (row,) = studied.rows(tmp_path / "study")
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
        *studied.SMALL,
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
    define = study_plan.COMMANDS[command].define_flags
    flags = command_line.parse(define, arguments)
    directory.mkdir(parents=True)
    (directory / "flags.txt").write_text(flags.flags_text)
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
        *studied.SMALL,
        "--temperature=0.1",
        "--color_jitter_strength=0.5",
        f"--model_dir={tmp_path / 'study'}",
    )
    _, _, (cell,) = study_plan.make_plan(
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
    arguments = ("--study=few_labels", *studied.SMALL)
    directory = f"--model_dir={tmp_path / 'study'}"
    _, _, (cell,) = study_plan.make_plan(
        command_line.parse(study.define_flags, [*arguments, directory])
    )
    _left(cell.runs[0].directory, "pretrain", cell.runs[0].arguments)
    path = cell.runs[0].directory / "flags.txt"
    lines = path.read_text().splitlines(keepends=True)
    later = ("--folder_layout", "--split_order", "--flip")
    path.write_text("".join(x for x in lines if not x.startswith(later)))
    run(study, *arguments, directory, "--dry_run")
    assert "1 cells." in capsys.readouterr().out
