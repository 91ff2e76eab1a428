"""Recipes are found by their names, in a clone and in a wheel."""

import importlib
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import zipfile

import pytest
from absl import flags as absl_flags

from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line

pytestmark = pytest.mark.newest
ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "flags").rglob("*.flags"))


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_recipe_is_found_by_its_name():
    named = command_line.parse(
        pretrain.define_flags, ["--recipe=cifar10/pretrain"]
    )
    apart = command_line.parse(
        pretrain.define_flags, ["--recipe", "cifar10/pretrain"]
    )
    path = "--flagfile=flags/cifar10/pretrain.flags"
    assert named == apart == command_line.parse(pretrain.define_flags, [path])
    assert named.dataset == "cifar10" and named.train_epochs == 1000


@pytest.mark.parametrize(
    "recipe", RECIPES, ids=[f"{r.parent.name}/{r.stem}" for r in RECIPES]
)
def test_command_in_the_head_of_a_recipe_reads_that_recipe(recipe):
    """And it names all that the command needs."""
    comments = re.findall(r"^#(.*)$", recipe.read_text(), re.MULTILINE)
    text = "\n".join(comments).replace("\\\n", " ")
    (line,) = re.findall(r"^   (simclr-.*)$", text, re.MULTILINE)
    program, *arguments = shlex.split(line)
    module = program.removeprefix("simclr-").replace("-", "_")
    command = importlib.import_module(f"simclr_keras.commands.{module}")
    flags = command_line.parse(command.define_flags, arguments)
    assert f"--recipe={recipe.parent.name}/{recipe.stem}" in arguments
    assert flags.model_dir
    assert module == "pretrain" or flags.checkpoint


def test_recipe_stands_in_the_order_of_the_arguments():
    """What comes later wins, as with --flagfile."""
    later = ["--recipe=shapes/pretrain", "--train_batch_size=64"]
    earlier = ["--train_batch_size=64", "--recipe=shapes/pretrain"]
    sizes = [
        command_line.parse(pretrain.define_flags, arguments).train_batch_size
        for arguments in (later, earlier)
    ]
    assert sizes == [64, 128]


@pytest.mark.parametrize(
    "name", ["cifar10", "cifar10/nothing", "../flags/cifar10/pretrain", ""]
)
def test_unknown_recipe_is_refused_with_the_names_of_all(name):
    with pytest.raises(absl_flags.Error) as raised:
        command_line.parse(pretrain.define_flags, [f"--recipe={name}"])
    assert f"Received: --recipe={name}" in str(raised.value)
    for recipe in RECIPES:
        assert f"{recipe.parent.name}/{recipe.stem}" in str(raised.value)


def test_recipes_travel_with_the_wheel(tmp_path):
    """Built from a copy and unpacked, where no clone can help it."""
    clone, wheels = tmp_path / "clone", tmp_path / "wheels"
    clone.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    for name in ("flags", "simclr_keras"):
        shutil.copytree(
            ROOT / name,
            clone / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"]
        + ["--no-build-isolation", f"--wheel-dir={wheels}", str(clone)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert (site / "simclr_keras" / "py.typed").exists()
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from simclr_keras.commands import pretrain\n"
        "from simclr_keras.commands.common import command_line\n"
        "arguments = ['--recipe=cifar10/pretrain']\n"
        "read = command_line.parse(pretrain.define_flags, arguments)\n"
        "print(read.train_epochs)\n"
        "print(command_line.find_recipe('shapes/pretrain'))\n"
        "print(*command_line.recipe_names())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    epochs, path, names = done.stdout.splitlines()
    assert epochs == "1000"
    assert path == str(site / "simclr_keras/recipes/shapes/pretrain.flags")
    assert names.split() == command_line.recipe_names()
    assert len(command_line.recipe_names()) == len(RECIPES)


def test_help_names_the_option():
    done = subprocess.run(
        [sys.executable, "-m", "simclr_keras.commands.pretrain", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "--recipe=NAME" in done.stdout
