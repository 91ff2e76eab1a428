"""TensorFlow's C++ lines stay out of a command's output unless asked for.

The lines are copied from TensorFlow 2.21 and 2.15.1 on a machine without GPU.
"""

import importlib
import os
import signal
import subprocess
import sys

import pytest

from simclr_keras.commands.common import tensorflow_log

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
NOISE = (
    "WARNING: All log messages before absl::InitializeLog() is called are"
    " written to STDERR\n"
    "I0000 00:00:1795802928.822410   11213 cudart_stub.cc:31] Could not find\n"
    "E0000 00:00:1795802950.711795   11213 cuda_platform.cc:52] failed call\n"
    "2026-11-27 18:11:45.255466: W tensorflow/compiler/tf2tensorrt/utils/"
    "py_utils.cc:38] TF-TRT Warning: Could not find TensorRT\n"
    "2026-11-27 18:11:10.375088: E external/local_xla/xla/stream_executor/"
    "cuda/cuda_dnn.cc:9261] Unable to register cuDNN factory\n"
)
OTHERS = (
    "/site-packages/thing.py:3: UserWarning: look at this\n"
    "F0000 00:00:1795802950.711795   11213 tensor.cc:52] Check failed\n"
    "2026-11-27 my own words\n"
)

pytestmark = pytest.mark.newest


@pytest.fixture
def fresh(monkeypatch):
    """A process that has not imported TensorFlow, and no level set."""
    monkeypatch.delenv(LEVEL, raising=False)
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(tensorflow_log, "_level_is_ours", False)


def _muted():
    return [
        finder
        for finder in sys.meta_path
        if isinstance(finder, tensorflow_log.MutedImport)
    ]


def test_lines_of_c_code_are_dropped_and_all_others_kept(capfd):
    with tensorflow_log.muted():
        os.write(2, (NOISE + OTHERS).encode())
    assert capfd.readouterr().err == OTHERS


def test_the_last_words_of_a_process_that_aborts_are_kept():
    code = (
        "import os\n"
        "from simclr_keras.commands.common import tensorflow_log\n"
        "with tensorflow_log.muted():\n"
        f"    os.write(2, {(NOISE + OTHERS).encode()!r})\n"
        "    os.abort()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True
    )
    assert ended.returncode == -signal.SIGABRT
    assert ended.stderr == OTHERS


def test_nothing_is_dropped_where_no_filter_can_be_started(monkeypatch, capfd):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with tensorflow_log.muted():
        os.write(2, NOISE.encode())
    assert capfd.readouterr().err == NOISE


def test_an_error_in_between_passes_and_stderr_comes_back(capfd):
    with pytest.raises(ValueError, match="mine"), tensorflow_log.muted():
        os.write(2, NOISE.encode())
        raise ValueError("mine")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_what_an_import_writes_is_dropped_once(tmp_path, monkeypatch, capfd):
    text = f"import os\nos.write(2, {NOISE.encode()!r} + b'kept\\n')\nx = 3\n"
    (tmp_path / "noisy_module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    finder = tensorflow_log.MutedImport("noisy_module")
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    module = importlib.import_module("noisy_module")
    assert module.x == 3
    assert capfd.readouterr().err == "kept\n"
    assert finder not in sys.meta_path
    importlib.reload(module)
    assert capfd.readouterr().err == f"{NOISE}kept\n"


def test_silence_is_for_this_process_and_those_it_starts(fresh):
    tensorflow_log.silence()
    assert os.environ[LEVEL] == "3"
    assert len(_muted()) == 1
    tensorflow_log.unsilence()  # --verbose_tensorflow in a file of flags
    assert os.environ[LEVEL] == "0"
    assert not _muted()


@pytest.mark.parametrize("level, finders", [("3", 1), ("0", 0)])
def test_a_process_that_a_study_starts_does_as_the_study(
    fresh, monkeypatch, level, finders
):
    monkeypatch.setenv(LEVEL, level)
    tensorflow_log.silence()
    assert os.environ[LEVEL] == level
    assert len(_muted()) == finders


def test_the_command_line_asks_for_them(fresh):
    tensorflow_log.silence(["--seed=1", "--verbose_tensorflow"])
    assert os.environ[LEVEL] == "0"
    assert not _muted()


def test_what_the_user_has_set_stays(fresh, monkeypatch):
    monkeypatch.setenv(LEVEL, "1")
    tensorflow_log.silence()
    tensorflow_log.unsilence()
    assert os.environ[LEVEL] == "1"
    assert not _muted()


def test_nothing_is_changed_once_tensorflow_is_there(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    tensorflow_log.silence()
    assert LEVEL not in os.environ
    assert not _muted()
