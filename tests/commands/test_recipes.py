"""Every recipe parses and says where it was measured; flags read back."""

import pathlib
import shlex
import subprocess
import sys

import forked
import pytest
from absl import flags as absl_flags

import simclr_keras
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import flag_kinds

pytestmark = pytest.mark.newest
ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "flags").rglob("*.flags"))
COMMANDS = {
    "pretrain": pretrain,
    "linear-eval": linear_eval,
    "finetune": finetune,
    "embed": embed,
    "export": export,
}


def _command_of(recipe):
    for name, command in COMMANDS.items():
        if recipe.name.startswith(name.replace("-", "_")):
            return command
    raise ValueError(recipe)


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    "recipe", RECIPES, ids=[f"{r.parent.name}/{r.stem}" for r in RECIPES]
)
def test_recipe_parses_and_says_its_hardware_and_result(recipe):
    command = _command_of(recipe)
    flags = command_line.parse(command.define_flags, [f"--flagfile={recipe}"])
    assert flags.dataset
    text = recipe.read_text()
    assert "easured" in text or "README" in text


def test_every_data_set_has_all_four_recipes():
    stages = {"pretrain", "linear_eval", "finetune_1pct", "finetune_10pct"}
    folders = {recipe.parent for recipe in RECIPES}
    assert len(folders) == 7
    for folder in folders:
        assert stages <= {recipe.stem for recipe in folder.glob("*.flags")}


def test_flags_text_reads_back(tmp_path):
    first = command_line.parse(
        pretrain.define_flags,
        [
            "--flagfile=flags/shapes/pretrain.flags",
            "--append_views=noise,sobel",
        ],
    )
    path = tmp_path / "flags.txt"
    path.write_text(first.flags_text)
    again = command_line.parse(pretrain.define_flags, [f"--flagfile={path}"])
    assert again == first


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--no_such_flag"], "no_such_flag"),
        (["--resnet_depth=19"], "resnet_depth"),
        (["--train_batch_size=0"], "train_batch_size"),
        (["stray"], "stray"),
    ],
)
def test_bad_flags_are_named(arguments, message):
    with pytest.raises(absl_flags.Error, match=message):
        command_line.parse(pretrain.define_flags, arguments)


def _printed(name, argument):
    """What a command prints, as `-m` and as the console's entry start it."""
    module = f"simclr_keras.commands.{name.replace('-', '_')}"
    code = (
        f"import sys, runpy; sys.argv = ['simclr', '{argument}'];"
        f"runpy.run_module('{module}', run_name='__main__');"
        f"import {module} as command;"
        "command.main();"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_lists_every_flag_without_loading_anything_heavy(name):
    command = COMMANDS[name]
    values = absl_flags.FlagValues()
    command.define_flags(values)
    short, full = _printed(name, "--help"), _printed(name, "--helpfull")
    assert len(command.FIRST) <= 10
    assert command.EXAMPLE in short
    for flag in values:
        assert f"--{flag}" in short
        assert f"--{flag}: " in full
        assert (f"\n  --{flag}: " in short) == (flag in command.FIRST)
    # Every group that help lists is one of those that it knows.
    assert set(values.flags_by_module_dict()) <= set(flag_kinds.GROUPS)


def test_version():
    assert _printed("export", "--version").split() == 2 * [
        "simclr_keras",
        simclr_keras.__version__,
    ]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_example_of_help_parses(name):
    program, *arguments = shlex.split(COMMANDS[name].EXAMPLE)
    assert program == f"simclr-{name}"
    command_line.parse(COMMANDS[name].define_flags, arguments)


def test_errors_of_a_run_come_without_a_traceback(tmp_path):
    arguments = [
        f"--dataset=folder:{tmp_path}/none",
        f"--model_dir={tmp_path}/run",
    ]
    process = forked.Process("pretrain", arguments, tmp_path / "log")
    assert process.wait() == 1
    printed = process.text()
    assert "Error: " in printed and "Traceback" not in printed
    assert not (tmp_path / "run").exists()
