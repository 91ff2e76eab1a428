"""Keeps log lines of TensorFlow's C++ code out of the output of a command.

`TF_CPP_MIN_LOG_LEVEL` silences most of them. Some are written before TensorFlow
has read it, others by parts that never do: these are recognised by their form
and dropped while TensorFlow is imported, and while TensorFlow 2.15 compiles its
first program by XLA.
"""

import contextlib
import importlib.abc
import importlib.machinery
import os
import subprocess
import sys

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_SILENT, _EVERYTHING = "3", "0"
_SWITCHES = {"--verbose_tensorflow", "-verbose_tensorflow"}
# `I0000 00:00:1795 1234 file.cc:31] text`, as absl writes it, and TensorFlow's
# own `2026-11-27 18:11:10.335567: I path/file.cc:31] text`. Errors (E) are
# dropped too: an exception follows most of them, and --verbose_tensorflow shows
# the others, such as why no GPU is found. Fatal errors (F) are kept.
_CPP_LINE = (
    r"WARNING: All log messages before absl::InitializeLog"
    r"|[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\] "
    r"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] \S+:\d+\] "
)
# Copies the other lines from stdin to stderr, until all writers have ended.
_FILTER = """
import re, sys
dropped = re.compile(sys.argv[1].encode())
for line in sys.stdin.buffer:
    if not dropped.match(line):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
_SECONDS = 5.0  # to wait for the filter, which a child process may keep open

# Whether `silence` has set the level in this process.
_level_is_ours = False


def silence(arguments=()):
    """Silences C++ log lines from now on, in child processes too.

    Call it before TensorFlow is imported, which reads the level then. A level
    that the user has set stays as it is.

    Args:
        arguments: the command line, which may contain `--verbose_tensorflow`.
            It is searched here because parsing it may be too late: a path such
            as gs://... loads TensorFlow.
    """
    global _level_is_ours
    if "tensorflow" in sys.modules:
        return
    wanted = bool(_SWITCHES & set(arguments))
    if _LEVEL not in os.environ:
        os.environ[_LEVEL] = _EVERYTHING if wanted else _SILENT
        _level_is_ours = True
    if os.environ[_LEVEL] == _SILENT:
        sys.meta_path.insert(0, MutedImport("tensorflow"))


def unsilence():
    """Undoes `silence`, if TensorFlow is not imported yet."""
    if not _level_is_ours:
        return
    for finder in list(sys.meta_path):
        if isinstance(finder, MutedImport):
            sys.meta_path.remove(finder)
            os.environ[_LEVEL] = _EVERYTHING


class MutedImport(importlib.abc.MetaPathFinder):
    """Finder that runs the import of a module within `muted`, once.

    Args:
        name: name of the module.
    """

    def __init__(self, name):
        self._name = name

    def find_spec(self, fullname, path=None, target=None):
        """The module's usual spec, whose loader runs it within `muted`."""
        if fullname != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            run_module = spec.loader.exec_module

            def exec_module(module):
                sys.meta_path.remove(self)
                with muted():
                    run_module(module)

            spec.loader.exec_module = exec_module
        return spec


@contextlib.contextmanager
def muted():
    """Context that drops C++ log lines written to stderr within it.

    A process of its own filters them, so that the last words of a process that
    aborts are seen. Nothing is dropped if there is no stderr, or no such
    process can be started.
    """
    filtering = None if sys.stderr is None else _start_filter()
    if filtering is None:
        yield
        return
    sys.stderr.flush()
    there = os.dup(2)
    os.dup2(filtering.stdin.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(there, 2)
        os.close(there)
        filtering.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            filtering.wait(_SECONDS)


def _start_filter():
    """The process that filters stderr, or None."""
    try:
        os.fstat(2)
        return subprocess.Popen(
            [sys.executable, "-ISc", _FILTER, _CPP_LINE],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C does not end it
        )
    except OSError:
        return None


def log_first_compilation():
    """Makes XLA compile a first program within `muted`, as it logs that once.

    TensorFlow 2.15 logs it at any level; later releases respect the level.
    """
    import tensorflow as tf

    from simclr_keras import compat

    if not compat.LOGS_FIRST_COMPILATION or os.environ.get(_LEVEL) != _SILENT:
        return
    if not tf.test.is_built_with_xla():
        return
    with muted(), tf.device("CPU:0"):
        tf.function(lambda x: x + 1.0, jit_compile=True)(tf.constant(1.0))
