"""Programs that XLA compiled are kept on the disk, and never a damaged one."""

import hashlib
import importlib.metadata
import os
import pathlib
import subprocess
import sys

import pytest

from simclr_keras import xla_cache

pytestmark = pytest.mark.newest
_FLAGS = "TF_XLA_FLAGS"
needs_cache = pytest.mark.skipif(
    xla_cache.version() is None, reason="TensorFlow before 2.21 has no cache"
)


@pytest.fixture(autouse=True)
def _not_imported(monkeypatch):
    """As in a process that has not imported TensorFlow yet."""
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setenv(_FLAGS, "--tf_xla_clustering_debug")
    monkeypatch.setattr(xla_cache, "_directory", None)
    monkeypatch.setattr(xla_cache.atexit, "register", lambda *_: None)


def _program(directory, name, age=0):
    path = directory / f"{name}.pb"
    path.write_bytes(name.encode())
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


@needs_cache
def test_keeps_the_users_flags_and_adds_the_directory(tmp_path):
    directory = xla_cache.enable(tmp_path)
    version = importlib.metadata.version("tensorflow")
    assert directory.parent == tmp_path and version in directory.name
    given = os.environ[_FLAGS].split()
    assert given[0] == "--tf_xla_clustering_debug"
    assert f"--tf_xla_persistent_cache_directory={directory}" in given


@needs_cache
def test_only_sealed_programs_are_used_again(tmp_path, monkeypatch):
    """One sealed, one of a process that was killed, one changed afterwards."""
    directory = xla_cache.enable(tmp_path)
    sealed, changed = (_program(directory, name) for name in "ab")
    xla_cache.seal()
    text = (directory / "a.sha256").read_text()
    assert text == hashlib.sha256(b"a").hexdigest()
    killed, other = (_program(directory, name) for name in "cd")
    changed.write_bytes(b"cut")
    (directory / "d.sha256").write_bytes(b"\xff")
    monkeypatch.setenv(_FLAGS, "")
    assert xla_cache.enable(tmp_path) == directory
    assert sealed.exists()
    assert not any(path.exists() for path in (killed, changed, other))
    assert sorted(x.name for x in directory.iterdir()) == ["a.pb", "a.sha256"]


@needs_cache
def test_the_oldest_programs_go(tmp_path, monkeypatch):
    directory = xla_cache.enable(tmp_path)
    number = xla_cache.PROGRAMS_KEPT + 3
    paths = [_program(directory, f"{i:03}", age=i) for i in range(number)]
    xla_cache.seal()
    monkeypatch.setenv(_FLAGS, "")
    xla_cache.enable(tmp_path)
    assert [path.exists() for path in paths] == [True] * (number - 3) + [
        False
    ] * 3


@pytest.mark.parametrize(
    "reason", ["imported", "named", "flags", "space", "home", "file", "old"]
)
def test_nothing_is_changed_where_it_cannot_be(tmp_path, monkeypatch, reason):
    root = tmp_path / "root"
    if reason == "imported":
        monkeypatch.setitem(sys.modules, "tensorflow", object())
    elif reason == "named":
        there = f"--tf_xla_persistent_cache_directory={tmp_path}"
        monkeypatch.setenv(_FLAGS, there)
    elif reason == "flags":
        monkeypatch.setenv(_FLAGS, "/my/xla.flags")  # a file of them
    elif reason == "space":
        root = tmp_path / "a root"
        root.mkdir()
    elif reason == "home":

        def unknown(path):
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(pathlib.Path, "expanduser", unknown)
        root = None
    elif reason == "file":
        root.write_text("not a directory")
    else:
        monkeypatch.setattr(
            xla_cache.importlib.metadata, "version", lambda name: "2.15.1"
        )
    before = os.environ[_FLAGS]
    assert xla_cache.enable(root) is None
    assert os.environ[_FLAGS] == before


_VIEWS = """
import hashlib, pathlib, sys
from simclr_keras import xla_cache
directory = xla_cache.enable(pathlib.Path(sys.argv[1]))
import numpy as np
import simclr_keras as sk
views = sk.TwoViews(image_size=8, seed=0, jit=True)
images = np.random.RandomState(0).rand(4, 8, 8, 3).astype("float32")
drawn = b"".join(view.numpy().tobytes() for view in views(images, 0))
xla_cache.seal()
programs = sorted(directory.glob("*.pb"))
times = [path.stat().st_mtime_ns for path in programs]
print(hashlib.sha256(drawn).hexdigest(), times)
"""


@needs_cache
@pytest.mark.long
def test_views_have_the_same_bits_from_the_disk(tmp_path):
    """Compiled; from the disk; and compiled again where a file is damaged."""

    def run():
        command = [sys.executable, "-c", _VIEWS, str(tmp_path)]
        environment = {**os.environ, _FLAGS: ""}
        return subprocess.run(
            command,
            env=environment,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout.split(maxsplit=1)

    bits, times = run()
    assert run() == [bits, times]  # no file was written anew
    (program,) = tmp_path.glob("*/*.pb")
    whole = program.read_bytes()
    program.write_bytes(whole[: len(whole) // 2])
    again, later = run()
    assert again == bits
    assert later != times


@needs_cache
@pytest.mark.long
def test_a_command_keeps_what_it_compiles(tmp_path):
    """Also where a path with a scheme loads TensorFlow early."""
    environment = {**os.environ, _FLAGS: "", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "simclr_keras.commands.pretrain"]
    command += ["--dataset=shapes", "--train_split=train[:40]", "--eval_split="]
    command += ["--image_size=8", "--encoder=tiny", "--train_batch_size=40"]
    command += ["--train_steps=1", "--model_dir=ram://run", "--verbose=0"]
    subprocess.run(command, env=environment, check=True)
    programs = list(tmp_path.glob("simclr_keras/xla/*/*.pb"))
    assert programs
    assert all(path.with_suffix(".sha256").exists() for path in programs)
