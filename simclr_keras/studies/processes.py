"""Runs chains of commands, several at a time, each in its own process."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence

from simclr_keras.studies.cells import Cell
from simclr_keras.studies.failures import Failure
from simclr_keras.studies.failures import Failures
from simclr_keras.training import RunDirectory
from simclr_keras.training import finite

_PR_SET_PDEATHSIG = 1
# Time for a run to save a checkpoint and end, after its study was stopped.
_ENDING_SECONDS = 120.0


def visible_gpus() -> list[str]:
    """Numbers of the GPUs that this process sees, as text."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [x for x in given.split(",") if x]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def run_cells(
    cells: Sequence[Cell],
    jobs: int,
    failures: Failures,
    on_end: Callable[[Cell], None],
) -> None:
    """Runs the commands of all cells, except those that are settled already.

    If several cells run at a time, each gets one of the GPUs. When this process
    ends, the commands end too; trainings save a checkpoint first.

    Args:
        cells: in the order in which they are started.
        jobs: number of cells that run at a time.
        failures: records the commands that fail. If a pre-training fails, the
            other commands of its cell are not run. If another command fails,
            they are run, because they do not depend on it.
        on_end: called with each cell when it has ended.
    """
    gpus = visible_gpus() if jobs > 1 else []
    waiting, running = list(cells), {}
    try:
        while waiting or running:
            for slot in range(jobs):
                if slot not in running and waiting:
                    gpu = gpus[slot % len(gpus)] if gpus else None
                    running[slot] = _Chain(waiting.pop(0), gpu, failures)
            for slot, chain in list(running.items()):
                if chain.advance():
                    del running[slot]
                    on_end(chain.cell)
            if running:
                time.sleep(0.1)
    finally:
        for chain in running.values():
            chain.terminate()
        for chain in running.values():
            chain.wait()


class _Chain:
    """Runs the commands of a cell one after the other.

    Those that diverged in an earlier try come last: another learning rate may
    have finished by then, and they are passed over.
    """

    def __init__(self, cell, gpu, failures):
        self.cell = cell
        self._failures = failures
        self._environment = dict(os.environ)
        if gpu is not None:
            self._environment["CUDA_VISIBLE_DEVICES"] = gpu
        self._runs = sorted(
            cell.runs,
            key=lambda run: run.measure is not None and failures.diverged(run),
        )
        self._run = self._process = None
        self._wait_until = None

    def advance(self):
        """Starts the next command if none runs; returns whether all ended."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return False
            self._process = None
            if code:
                self._failures.add(_failure(self._run, code))
                if self._run.measure is None:
                    return True
        while self._runs:
            if self._failures.settled(self.cell, self._runs[0]):
                self._runs.pop(0)
            elif self._is_used(self._runs[0]):
                return False
            else:
                self._wait_until = None  # each run has its own time limit
                self._run = self._runs.pop(0)
                self._failures.forget(self._run)
                self._process = _start(self._run, self._environment)
                return False
        return True

    def _is_used(self, run):
        """Whether a command of a killed study still uses the directory."""
        directory = RunDirectory(run.directory)
        if not directory.path.exists():
            return False
        now = time.monotonic()
        self._wait_until = self._wait_until or now + _ENDING_SECONDS
        try:
            with directory.lock.held():
                self._wait_until = None
                return False
        except ValueError:
            return now < self._wait_until

    def terminate(self):
        """Asks the command to end, which lets it save a checkpoint."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self):
        """Waits for the command to end; kills it after a time limit."""
        if self._process is None:
            return
        try:
            self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _command_line(run):
    module = f"simclr_keras.commands.{run.command}"
    return [sys.executable, "-m", module, *run.arguments]


def _start(run, environment):
    """Starts a command, and appends its output to its log."""
    run.log.parent.mkdir(parents=True, exist_ok=True)
    with run.log.open("ab") as log:
        return subprocess.Popen(
            _command_line(run),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C then reaches this process only, which ends the command.
            start_new_session=True,
            preexec_fn=functools.partial(_end_with_parent, _libc()),
        )


@functools.lru_cache(maxsize=1)
def _libc():
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent(libc):
    """Lets Linux send SIGTERM to this process when its parent dies."""
    if libc is not None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _failure(run, code):
    """The `Failure` of a command that ended with a code other than 0."""
    message = _last_line(run.log)
    # The exit code counts too: the log of a process that was killed may end
    # with the error of an earlier process.
    diverged = code == 1 and message.endswith(finite.ADVICE)
    return Failure(run, code, message, diverged)


def _last_line(log):
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    # A line about tracebacks follows an error that this package did not raise.
    errors = [line for line in lines[-3:] if line.startswith("Error: ")]
    return [*lines[-1:], *errors][-1] if lines else ""
