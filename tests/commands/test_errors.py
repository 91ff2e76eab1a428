"""What a user reads when something is wrong: the file and the reason first."""

import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest
import tensorflow as tf
from absl import flags as absl_flags
from PIL import Image

from simclr_keras import data
from simclr_keras import training
from simclr_keras.commands import embed
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import command_line
from simclr_keras.data import corrupt

TRACEBACK = "SIMCLR_KERAS_TRACEBACK"


def _end(monkeypatch, run, *arguments):
    """What a command says at its end by an error."""
    monkeypatch.setattr(sys, "argv", ["simclr-pretrain", *arguments])
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    with pytest.raises(SystemExit) as caught:
        cli.start(pretrain.define_flags, run, "Does something.")
    return str(caught.value.code)


def test_an_error_of_others_says_how_to_see_where_it_is_from(
    monkeypatch, capsys
):
    def fails(flags):
        np.zeros((2, 3)) @ np.zeros((2, 3))

    monkeypatch.delenv(TRACEBACK, raising=False)
    said = _end(monkeypatch, fails)
    assert said.startswith("Error: matmul") and f"{TRACEBACK}=1" in said
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv(TRACEBACK, "1")
    assert _end(monkeypatch, fails) == said.splitlines()[0]
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback") and "in fails" in shown


def test_an_error_of_ours_stands_alone(monkeypatch):
    monkeypatch.delenv(TRACEBACK, raising=False)
    said = _end(monkeypatch, pretrain.run)
    assert said == (
        "Error: --model_dir must name the run directory, such as"
        " --model_dir=runs/first. Received: nothing"
    )


def test_a_warning_for_users_is_one_line(monkeypatch):
    """Others, such as of a deprecation, say where they are from."""
    _end(monkeypatch, pretrain.run)
    text = warnings.formatwarning("One file.", UserWarning, "a.py", 7)
    assert text == "Warning: One file.\n"
    other = warnings.formatwarning("Old.", DeprecationWarning, "a.py", 7)
    assert other.startswith("a.py:7: DeprecationWarning: Old.")


def test_a_bad_command_line_names_the_program(monkeypatch):
    said = _end(monkeypatch, pretrain.run, "--temprature=0.2")
    assert said.startswith("simclr-pretrain: Unknown command line flag")
    assert said.endswith("simclr-pretrain --help lists the flags.")


@pytest.mark.parametrize("command", [pretrain, linear_eval, finetune, embed])
def test_what_is_missing_is_found_before_tensorflow_is_loaded(
    monkeypatch, command
):
    for name in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match="--model_dir must name"):
        command.run(command_line.parse(command.define_flags, []))
    if command is not pretrain:
        with pytest.raises(ValueError, match="--checkpoint must name"):
            command.run(
                command_line.parse(command.define_flags, ["--model_dir=a"])
            )


@pytest.fixture
def folder(tmp_path):
    """Four pictures."""
    noise = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b [1] c.jpg", "b.jpg", "c.gif"):
        pixels = noise.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    return tmp_path / "images"


def _said_of(folder, spoil):
    """What is said of a folder that is spoilt after it was opened."""
    source = data.open_source(f"folder:{folder}", "train")
    spoil()
    dataset = data.make_dataset(
        source, batch_size=4, image_size=16, training=False
    )
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        list(dataset)
    return corrupt.explain(str(caught.value))


@pytest.mark.parametrize("name", ["a.png", "b [1] c.jpg", "c.gif"])
def test_a_corrupt_image_is_named_first(folder, name):
    path = folder / name
    content = path.read_bytes()
    said = _said_of(folder, lambda: path.write_bytes(content[:60]))
    assert said.startswith(f"{path}: it is ")
    assert len(said) < 400 and "--skip_corrupt" in said


def test_a_file_that_has_vanished_is_no_corrupt_image(folder):
    path = folder / "b.jpg"
    said = _said_of(folder, path.unlink)
    assert said.startswith(
        f"{path}: the file is gone since the data set was opened. Bring"
    )


def test_other_errors_of_tensorflow_are_left_as_they_are():
    assert corrupt.explain("Out of memory [[node a]]") == (
        "Out of memory [[node a]]"
    )


def test_a_name_that_is_not_utf8_is_refused(folder):
    name = os.fsencode(folder) + b"/caf\xe9.png"
    try:
        pathlib.Path(os.fsdecode(name)).write_bytes(b"")
    except OSError:
        pytest.skip("this disk has names in UTF-8 alone")
    with pytest.raises(ValueError) as caught:
        data.open_source(f"folder:{folder}", "train")
    assert str(caught.value).startswith(f"{name!r}: names of files")
    str(caught.value).encode()  # or it could not be printed


def test_garbage_in_files_of_a_run_is_named(tmp_path):
    run = training.RunDirectory(tmp_path)
    for path, read, contents in (
        (run.flags, run.settings, (b"\xff\xfe",)),
        (run.results, run.finished, (b"\xff\xfe", b"{", b"[1]")),
    ):
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(ValueError) as caught:
                read()
            assert str(caught.value).startswith(f"{path} is damaged: it must")


def test_names_that_the_terminal_does_not_know_are_escaped(tmp_path):
    """They ended the command in the middle."""
    code = (
        "import sys; from simclr_keras.commands.common import cli\n"
        "sys.argv = ['simclr-embed']\n"
        "cli.start(lambda values: None, lambda flags: print('b\u00e4r'), '')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"b\\xe4r\n"


@pytest.mark.parametrize("seed", [-5, 2**32])
def test_a_seed_out_of_range_names_the_flag(seed):
    with pytest.raises(absl_flags.Error, match="--seed="):
        command_line.parse(pretrain.define_flags, [f"--seed={seed}"])
