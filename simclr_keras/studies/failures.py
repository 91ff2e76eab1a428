"""Records which runs of a study failed, until they are started again."""

from __future__ import annotations

import json
import pathlib
from typing import NamedTuple

from simclr_keras.studies.cells import Cell
from simclr_keras.studies.cells import Run
from simclr_keras.training import RunDirectory
from simclr_keras.training.text_files import read_json
from simclr_keras.training.text_files import write_whole

_NAME = "failures.json"


class Failure(NamedTuple):
    """A command that failed.

    Attributes:
        run: the `Run`.
        code: exit code; if negative, minus the signal that ended it.
        message: its error, else the last line that it printed.
        diverged: whether it ended because its loss was no longer finite.
    """

    run: Run
    code: int
    message: str
    diverged: bool = False


class Failures:
    """The failures of a study's runs, stored in a file.

    A run whose learning rate diverged is passed over once a run of the same
    measure with another rate has finished.

    Args:
        directory: the study's directory, which holds the file; it need not
            exist before the first failure.
    """

    def __init__(self, directory: pathlib.Path):
        self._directory = directory
        self._path = directory / _NAME
        self._known = read_json(self._path) if self._path.exists() else {}

    def add(self, failure: Failure) -> None:
        """Records the failure of a run."""
        self._known[self._key(failure.run)] = {
            "code": failure.code,
            "message": failure.message,
            "diverged": failure.diverged,
        }
        self._write()

    def forget(self, run: Run) -> None:
        """Removes the failure of a run that is started again."""
        if self._known.pop(self._key(run), None) is not None:
            self._write()

    def diverged(self, run: Run) -> bool:
        """Whether the run, when it was last tried, diverged."""
        found = self._of_run(run)
        return found is not None and found.diverged

    def settled(self, cell: Cell, run: Run) -> bool:
        """Whether a run of the cell has finished or is passed over."""
        return _has_ended(run) or self._is_passed_over(cell, run)

    def all_settled(self, cell: Cell) -> bool:
        """Whether nothing of a cell is left to be run."""
        return all(self.settled(cell, run) for run in cell.runs)

    def passed_over(self, cell: Cell) -> list[Run]:
        """The runs that diverged while another rate of theirs has finished."""
        return [run for run in cell.runs if self._is_passed_over(cell, run)]

    def of(self, cell: Cell) -> list[Failure]:
        """The failures because of which a cell lacks a result.

        A run that diverged counts only if all other learning rates of its
        measure failed too.
        """
        found = []
        for run in cell.runs:
            failure = self._of_run(run)
            if failure is None or (
                failure.diverged
                and any(self._of_run(r) is None for r in _others(cell, run))
            ):
                continue
            found.append(failure)
        return found

    def _of_run(self, run):
        known = self._known.get(self._key(run))
        return (
            None if known is None or _has_ended(run) else Failure(run, **known)
        )

    def _is_passed_over(self, cell, run):
        return self.diverged(run) and any(map(_has_ended, _others(cell, run)))

    def _key(self, run):
        return run.directory.relative_to(self._directory).as_posix()

    def _write(self):
        write_whole(self._path, json.dumps(self._known, indent=2) + "\n")


def _has_ended(run):
    return RunDirectory(run.directory).results.exists()


def _others(cell, run):
    """The other learning rates of a run's measure."""
    if run.measure is None:
        return []
    return [r for r in cell.runs if r.measure == run.measure and r is not run]
