"""Fixtures of the tests of commands."""

import subprocess

import forked
import pytest

from simclr_keras.studies import processes


class _Forked(forked.Process):
    """A command of a cell, as `subprocess.Popen` has it."""

    def terminate(self):
        self.send_signal(15)

    def wait(self, seconds=forked.SECONDS):
        self._process.join(seconds)
        if self.poll() is None:
            raise subprocess.TimeoutExpired("", seconds)
        return self.poll()


@pytest.fixture
def started(monkeypatch):
    """Runs commands as forks; the list of all that were begun."""
    begun = []

    def start(run, environment):
        begun.append(run)
        run.log.parent.mkdir(parents=True, exist_ok=True)
        return _Forked(run.command, run.arguments, run.log)

    monkeypatch.setattr(processes, "_start", start)
    return begun
