"""Runs of earlier releases go on, and mean what they meant.

`tests/fixtures/run_keras3` and `run_keras2` are of the first release, each on
its stack: `pretrain`, stopped at step 20 of 32, its `metrics.csv` as the whole
run left it; `finished`, the same run at its end, without its checkpoints; and
`linear`, a kNN evaluation of its last one.
"""

import csv
import json
import pathlib
import shutil

import numpy as np
import pytest
from absl import flags as absl_flags

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras import old_runs
from simclr_keras.commands import embed
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.training import RunDirectory
from simclr_keras.training import run_settings

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
OLD = FIXTURES / f"run_keras{3 if compat.KERAS_3 else 2}"


@pytest.fixture
def old(tmp_path):
    """A copy of the runs, with `--model_dir` as in their flags."""
    shutil.copytree(OLD, tmp_path / "runs")
    return tmp_path / "runs"


def _rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_stopped_run_goes_on_and_is_evaluated(old, capsys, monkeypatch):
    """In a release with a flag more and one less, both with a word.

    What must come out is what the first release wrote without a stop.
    """
    directory = old / "pretrain"
    with open(directory / "flags.txt", "a") as file:
        file.write("--dropped_since=5\n")
    define = pretrain.define_flags

    def define_more(values):
        define(values)
        absl_flags.DEFINE_integer("later", 1, "New.", flag_values=values)
        absl_flags.DEFINE_string("moved", "new", "Was old.", flag_values=values)

    monkeypatch.setitem(old_runs.FLAGS, "moved", "old")
    arguments = [f"--flagfile={directory}/flags.txt"]
    arguments.append(f"--model_dir={directory}")
    flags = command_line.parse(define_more, arguments)
    assert (flags.later, flags.moved) == (1, "old")
    results = pretrain.run(flags)
    assert "--dropped_since=5" in capsys.readouterr().out
    expected = json.loads((old / "finished/results.json").read_text())
    assert results["steps"] == expected["steps"] == 32
    for row, then in zip(
        _rows(directory / "metrics.csv"), _rows(OLD / "pretrain/metrics.csv")
    ):
        assert row.keys() == then.keys()
        for name in row.keys() - {"scope"}:
            assert bool(row[name]) == bool(then[name]), name
            if row[name]:
                # Other processors round otherwise, over twelve steps.
                assert float(row[name]) == pytest.approx(
                    float(then[name]), rel=0.02, abs=0.02
                )
    evaluated = linear_eval.run(
        command_line.parse(
            linear_eval.define_flags,
            [
                f"--flagfile={old}/linear/flags.txt",
                f"--checkpoint={directory}",
                f"--model_dir={old / 'again'}",
            ],
        )
    )
    expected = json.loads((old / "linear/results.json").read_text())
    assert evaluated.keys() - expected.keys() == {"mean_per_class_accuracy"}
    assert expected.keys() < evaluated.keys()
    assert abs(evaluated["accuracy"] - expected["accuracy"]) <= 2 / 32


def test_a_finished_run_has_its_results(old, monkeypatch):
    monkeypatch.chdir(old.parent)  # --checkpoint=runs/pretrain
    for command, name in ((pretrain, "finished"), (linear_eval, "linear")):
        arguments = [f"--flagfile={old / name}/flags.txt"]
        arguments += [f"--model_dir={old / name}"]
        flags = command_line.parse(command.define_flags, arguments)
        results = json.loads((OLD / name / "results.json").read_text())
        assert command.run(flags) == results


def test_a_model_of_then_loads(old):
    model = sk.training.load_model(old / "pretrain")
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3))
    h = model.embed(images.astype(np.uint8))
    assert h.shape == (2, 8) and np.isfinite(h).all()
    assert sk.load(old / "pretrain").settings["temperature"] == "0.1"


COMMANDS = {
    "simclr-pretrain": pretrain,
    "simclr-linear-eval": linear_eval,
    "simclr-finetune": finetune,
    "simclr-embed": embed,
}


def test_a_run_is_that_of_its_command():
    for name, command in COMMANDS.items():
        flags = command_line.parse(command.define_flags, [])
        there = old_runs.parse_flags(flags.flags_text)
        assert old_runs.command_of(there) == name
        assert set(there) == set(flags.flag_defaults)
    for name in ("pretrain", "finished"):
        text = (OLD / name / "flags.txt").read_text()
        assert old_runs.command_of(old_runs.parse_flags(text)) == (
            "simclr-pretrain"
        )


def test_flags_that_older_runs_lack_have_a_default_of_their_own():
    """Or a run of this release could not be told from an older one."""
    for command in COMMANDS.values():
        defaults = command_line.parse(command.define_flags, []).flag_defaults
        for name in old_runs.FLAGS.keys() & defaults.keys():
            assert defaults[name] not in (None, old_runs.FLAGS[name])


def _refusal(tmp_path, there, here, defaults=None):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.flags.write_text(there)
    run.checkpoints.mkdir()
    try:
        run.claim(here, defaults)
    except ValueError as error:
        return str(error).splitlines()[1:-1]
    return []


FIRST = "--learning_rate=0.1\n--temperature=0.1\n"  # of the first release


@pytest.mark.parametrize(
    "there, here, lines",
    [
        (FIRST, FIRST + "--later=1\n", []),
        (FIRST, FIRST + "--later=2\n", ["  --later: 1 there, 2 now"]),
        (FIRST, FIRST + "--moved=old\n", []),
        (FIRST, FIRST + "--moved=new\n", ["  --moved: old there, new now"]),
        (FIRST + "--dropped=3\n", FIRST, []),
        # The first release did not write flags without a value.
        (
            FIRST,
            FIRST + "--use_blur=true\n",
            ["  --use_blur: not set there, true now"],
        ),
        (
            FIRST + "--use_blur=true\n",
            FIRST + "# Not set: use_blur\n",
            ["  --use_blur: true there, not set now"],
        ),
        # This one does, and so a later flag without a value shows, too.
        ("# Not set: use_blur\n" + FIRST, FIRST + "--micro_batch_size=4\n", []),
        (
            FIRST,
            FIRST.replace("temperature", "protocol"),
            ["  command: simclr-pretrain there, simclr-linear-eval now"],
        ),
    ],
)
def test_only_what_both_releases_know_makes_another_run(
    tmp_path, monkeypatch, there, here, lines
):
    monkeypatch.setitem(old_runs.FLAGS, "moved", "old")
    defaults = {"later": "1", "moved": "new", "micro_batch_size": "4"}
    assert _refusal(tmp_path, there, here, defaults) == lines


def test_flags_of_then_hold_in_model_dir_unless_given(tmp_path, monkeypatch):
    monkeypatch.setitem(old_runs.FLAGS, "crop_sampler", "torchvision")
    run = RunDirectory(tmp_path)
    text = command_line.parse(pretrain.define_flags, []).flags_text
    run.flags.write_text(text.replace("--crop_sampler=official\n", ""))

    def sampler(*arguments):
        arguments = [f"--model_dir={tmp_path}", *arguments]
        return command_line.parse(pretrain.define_flags, arguments).crop_sampler

    assert sampler() == "torchvision"
    assert sampler("--crop_sampler=official") == "official"
    run.flags.write_text(text)
    assert sampler() == "official"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\xff\xfe\x00flags", "must be a file of flags, one a line, in UTF-8"),
        (b"some notes of mine\n", "--name=value in each line. Received: 'some"),
        (b"--temprature=0.2\n", "Unknown command line flag 'temprature'"),
        (FIRST.replace("temperature", "layer").encode(), "of simclr-embed"),
    ],
)
def test_other_files_of_flags_are_refused(tmp_path, content, message):
    path = tmp_path / "flags.txt"
    path.write_bytes(content)
    with pytest.raises(absl_flags.Error, match=message):
        command_line.parse(pretrain.define_flags, [f"--flagfile={path}"])


def test_files_of_flags_may_name_others_but_not_themselves(tmp_path):
    (tmp_path / "a").write_text("# mine\n--seed\n3\n--flagfile=b\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path)
        (tmp_path / "b").write_text("--temperature=0.5\n")
        flags = command_line.parse(pretrain.define_flags, ["--flagfile", "a"])
        assert (flags.seed, flags.temperature) == (3, 0.5)
        (tmp_path / "b").write_text("--flagfile=a\n")
        with pytest.raises(absl_flags.Error, match="does not read itself"):
            command_line.parse(pretrain.define_flags, ["--flagfile=a"])


def _floats():
    for command in COMMANDS.values():
        for name, value in vars(
            command_line.parse(command.define_flags, [])
        ).items():
            if isinstance(value, float):
                yield command, name


def test_no_number_may_be_infinite_or_none_at_all():
    found = list(_floats())
    assert len(found) > 30
    for command, name in found:
        for value in ("nan", "inf", "-inf"):
            with pytest.raises(absl_flags.Error, match=f"--{name}="):
                command_line.parse(command.define_flags, [f"--{name}={value}"])


VIEW = {"views.class": "TwoViews", "views.first.class_name": "View"}
BLUR = {**VIEW, "views.first.config.blur": "0.5"}


@pytest.mark.parametrize(
    "there, here, different",
    [
        (BLUR, {**BLUR, "views.first.config.later": "1"}, []),
        ({**BLUR, "views.first.config.dropped": "1"}, BLUR, []),
        (BLUR, {**BLUR, "views.later.config.a": "1"}, []),
        (
            BLUR,
            {**BLUR, "views.first.config.moved": "new"},
            ["views.first.config.moved"],
        ),
        (BLUR, {**BLUR, "views.first.config.moved": "old"}, []),
        # A longer list, a value where there were several, another part.
        ({"a.c.0": "4"}, {"a.c.0": "4", "a.c.1": "8"}, ["a.c.1"]),
        ({"a.c": "None"}, {"a.c.x": "8"}, ["a.c", "a.c.x"]),
        ({"seed": "1"}, {"seed": "1", "loss.class": "NTXent"}, ["loss.class"]),
        # Noted only where it makes another training.
        (
            {"model.l2": "0"},
            {"model.l2": "0", "model.micro_batch_size": "8"},
            ["model.micro_batch_size"],
        ),
        # The first release left out empty lists.
        (BLUR, {**BLUR, "views.first.config.append": "[]"}, []),
        (
            BLUR,
            {**BLUR, "views.first.config.append.0": "cutout"},
            ["views.first.config.append.0"],
        ),
    ],
)
def test_only_what_both_releases_know_makes_another_model(
    monkeypatch, there, here, different
):
    monkeypatch.setitem(old_runs.ARGUMENTS, "View", {"moved": "old"})
    assert sorted(run_settings.differences(there, here)) == different


def test_a_configuration_gets_the_arguments_of_then(monkeypatch):
    monkeypatch.setitem(old_runs.ARGUMENTS, "View", {"moved": "old"})
    monkeypatch.setitem(old_runs.DROPPED, "View", ("dropped",))
    view = {"class_name": "View", "config": {"blur": 0.5, "dropped": 1}}
    config = {
        "class_name": "TwoViews",
        "config": {"first": view, "all": [view]},
    }
    made = old_runs.complete(config)["config"]
    assert made["first"]["config"] == {"blur": 0.5, "moved": "old"}
    assert made["all"] == [made["first"]]
    view["config"] = {"moved": "new"}
    assert old_runs.complete(config)["config"]["first"] == view
