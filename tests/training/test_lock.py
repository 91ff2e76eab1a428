"""One process at a time uses a run directory; a dead one blocks none."""

import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import threading
import time

import pytest

from simclr_keras import compat
from simclr_keras import training
from simclr_keras.commands import embed
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.training import lock
from simclr_keras.training import lock_file

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
OLD = FIXTURES / f"run_keras{3 if compat.KERAS_3 else 2}"
# A process that takes the lock of a directory, says so and waits. The packages
# around the module are empty here: theirs load TensorFlow.
HOLDER = """
import pathlib, sys, time, types
folder = pathlib.Path(sys.argv[1]).parent
packages = {"simclr_keras": folder.parent, "simclr_keras.training": folder}
for name, path in packages.items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(path)]
from simclr_keras.training import lock
lock.RunLock(sys.argv[2]).acquire()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path / "run"`."""
    arguments = [lock.__file__, str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *arguments], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def short(monkeypatch):
    """Beats every 0.2 s instead of 10 s."""
    monkeypatch.setattr(lock, "_BEAT_SECONDS", 0.2)
    monkeypatch.setattr(lock, "_WATCH_SECONDS", 1.5)
    monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.05)


def test_the_second_process_says_who_is_there_and_ends(holder, tmp_path):
    before = time.monotonic()
    with pytest.raises(ValueError, match="one process at a time") as caught:
        lock.RunLock(tmp_path / "run").acquire()
    assert f"process {holder.pid} on {os.uname().nodename} since 20" in str(
        caught.value
    )
    assert time.monotonic() - before < 5
    assert [path.name for path in (tmp_path / "run").iterdir()] == [lock.NAME]


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    path = tmp_path / "run" / lock.NAME
    assert json.loads(path.read_text())["pid"] == holder.pid
    before = time.monotonic()
    with lock.RunLock(tmp_path / "run").held():
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert time.monotonic() - before < 5
    assert not path.exists()


def test_a_command_writes_nothing_into_a_directory_in_use(holder, tmp_path):
    run = tmp_path / "run"
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    for extra in ([], ["--preview_views"]):
        with pytest.raises(ValueError, match=f"in use by process {holder.pid}"):
            pretrain.run(
                command_line.parse(
                    pretrain.define_flags,
                    [
                        f"--model_dir={run}",
                        "--train_split=train[:16]",
                        "--eval_split=",
                        "--train_batch_size=8",
                        "--encoder=tiny",
                        *extra,
                    ],
                )
            )
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


@pytest.mark.parametrize("command", [linear_eval, finetune, embed])
def test_the_other_commands_do_not_either(holder, tmp_path, command):
    run = tmp_path / "run"
    arguments = [f"--model_dir={run}", f"--checkpoint={OLD / 'pretrain'}"]
    if command is embed:
        arguments.append("--split=train[:16]")
    else:
        arguments += ["--train_split=train[:16]", "--eval_split=test[:16]"]
    with pytest.raises(ValueError, match=f"in use by process {holder.pid}"):
        command.run(command_line.parse(command.define_flags, arguments))
    assert [path.name for path in run.iterdir()] == [lock.NAME]


def test_fit_writes_nothing_into_a_directory_in_use(
    pretraining, holder, tmp_path
):
    run = tmp_path / "run"
    for _ in range(2):  # the failure itself holds nothing either
        with pytest.raises(ValueError, match="in use by process"):
            pretraining.fit(run, epochs=1)
        assert [path.name for path in run.iterdir()] == [lock.NAME]
    holder.kill()
    holder.wait()
    pretraining.fit(run, epochs=1)
    assert not (run / lock.NAME).exists()
    assert (run / "checkpoints" / "step-00000004.npz").exists()


def test_one_process_may_take_it_again(tmp_path):
    """As a command and its `fit` do, and a notebook after an interrupted one.

    It is given back with the last of those that hold it.
    """
    outer, inner = lock.RunLock(tmp_path), lock.RunLock(tmp_path)
    with outer.held():
        inner.acquire()
        inner.acquire()
        inner.release()
        inner.release()  # nothing of the outer one
        assert (tmp_path / lock.NAME).exists()
    assert not (tmp_path / lock.NAME).exists()


def test_another_machine_is_watched_for_a_beat(tmp_path, short, capsys):
    """Of one that is gone, on a disk whose locks do not reach it."""
    path = tmp_path / lock.NAME
    notes = {"pid": 7, "host": "far", "machine": "far", "since": "noon"}
    path.write_text(json.dumps({**notes, "beat": "1"}))
    stop = threading.Event()

    def beat():
        number = 1
        while not stop.wait(0.2):
            number += 1
            path.write_text(json.dumps({**notes, "beat": str(number)}))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(ValueError, match="process 7 on far since noon"):
            lock.RunLock(tmp_path).acquire()
    finally:
        stop.set()
        thread.join()
    with lock.RunLock(tmp_path).held():  # it has stopped beating
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert "was left by process 7 on far" in capsys.readouterr().out


def test_its_own_beat_shows_without_locks(tmp_path, short, monkeypatch):
    """On a disk that has none, between two processes of different machines."""
    monkeypatch.setattr(lock_file, "_flock", lambda number: None)
    with lock.RunLock(tmp_path).held():
        monkeypatch.setattr(lock, "_machine", lambda: "another")
        monkeypatch.setattr(lock, "_HELD", {})  # as in another process
        with pytest.raises(ValueError, match=f"process {os.getpid()} on"):
            lock.RunLock(tmp_path).acquire()


def test_a_store_without_locks_is_held_by_beats(short, monkeypatch):
    """`ram://` is TensorFlow's file system in memory."""
    directory = "ram://test_lock/run"
    ours = lock.RunLock(directory)
    with ours.held():
        notes = lock_file.RemoteFile(f"{directory}/{lock.NAME}")
        assert json.loads(notes.read())["pid"] == os.getpid()
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(lock, "_machine", lambda: "another")
            elsewhere.setattr(lock, "_HELD", {})
            with pytest.raises(ValueError, match="one process at a time"):
                lock.RunLock(directory).acquire()
        ours.check()
        notes.write(json.dumps({"token": "another's"}))
        time.sleep(0.5)
        with pytest.raises(RuntimeError, match="another process has taken"):
            ours.check()
    assert json.loads(notes.read()) == {"token": "another's"}


def test_a_lock_that_is_removed_at_the_wrong_moment_is_taken_anew(tmp_path):
    """Between opening the file and locking it, its holder removed it."""
    path = tmp_path / lock.NAME
    flock, calls = lock_file._flock, []

    def removing(number):
        if not calls:
            path.unlink()
        calls.append(number)
        return flock(number)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lock_file, "_flock", removing)
        file = lock_file.LocalFile(str(path))
    assert len(calls) == 2 and file._is_at_path()
    file.close()


def test_a_finished_run_on_a_read_only_disk_still_gives_its_results(
    tmp_path, monkeypatch
):
    def refused(self):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    arguments = [f"--model_dir={tmp_path / 'run'}", "--train_split=train[:16]"]
    arguments += ["--eval_split=", "--train_batch_size=8", "--encoder=tiny"]
    settings = command_line.parse(pretrain.define_flags, arguments)
    run = training.RunDirectory(tmp_path / "run")
    run.claim(settings.flags_text)
    monkeypatch.setattr(lock.RunLock, "acquire", refused)
    with pytest.raises(PermissionError, match="Permission denied"):
        pretrain.run(command_line.parse(pretrain.define_flags, arguments))
    run.write_results({"accuracy": 0.5}, {})
    settings = command_line.parse(pretrain.define_flags, arguments)
    assert pretrain.run(settings) == {"accuracy": 0.5}


def test_without_the_locks_of_linux_the_import_says_where_it_runs(monkeypatch):
    """On Windows, Python has no `fcntl`."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ImportError, match="On Windows, use it in WSL 2"):
        runpy.run_path(lock_file.__file__)
