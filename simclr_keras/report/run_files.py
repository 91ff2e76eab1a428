"""Reads the files of a run directory that a report shows."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from simclr_keras import old_runs
from simclr_keras import paths
from simclr_keras import training
from simclr_keras.evaluation import result_names
from simclr_keras.training import metrics_file
from simclr_keras.training import text_files

_BETTER = {
    result_names.SHARE: max,
    result_names.SCORE: max,
    result_names.LOSS: min,
    result_names.ERROR: min,
}


class ReportedRun:
    """The run of any command; each of its files is read once, when needed.

    Args:
        directory: its run directory; the run may still be writing to it.

    Attributes:
        path: path object of the directory.

    Raises:
        ValueError: there is no run in the directory. Properties raise it if
            their file is damaged.
    """

    def __init__(self, directory: paths.PathLike):
        self._run = training.RunDirectory(directory)
        self.path = self._run.path
        if not self._run.flags.is_file():
            raise ValueError(
                "a report is of run directories, as the commands leave them in"
                f" --model_dir. Received: {str(directory)!r}, which has no"
                f" {self._run.flags.name}"
            )

    @functools.cached_property
    def flags(self) -> dict[str, str | None]:
        """Dict of flag in `flags.txt` -> text, or None if it has no value."""
        return old_runs.parse_flags(text_files.read_text(self._run.flags))

    @functools.cached_property
    def results(self) -> dict[str, Any] | None:
        """The dict of `results.json`; None for a run that has not ended."""
        return self._run.finished()

    @functools.cached_property
    def timing(self) -> dict[str, Any]:
        """The dict of `timing.json`; empty for a run that has not ended."""
        if not self._run.timing.is_file():
            return {}
        return text_files.read_json(self._run.timing)

    @functools.cached_property
    def class_names(self) -> list[str] | None:
        """Names of a classifier's classes; None if the run has no such file."""
        return self._run.read_class_names()

    def rows(self, scope: str) -> list[dict[str, float]]:
        """Rows of `metrics.csv`; lines that are not whole are left out.

        Args:
            scope: `"epoch"` or `"steps"`, see `training.metrics_file`.

        Returns:
            List of dicts from columns to numbers, without empty cells.
        """
        return [
            {name: float(row[name]) for name in row if name != "scope"}
            for row in self._rows
            if row["scope"] == scope
        ]

    @functools.cached_property
    def _rows(self):
        """Dicts from columns to texts."""
        if not self._run.metrics.is_file():
            return []
        _, rows, _ = metrics_file.read_rows(self._run.metrics.read_bytes())
        return [{k: cell for k, cell in row.items() if cell} for row in rows]


def points(
    rows: Iterable[Mapping[str, float]], column: str
) -> list[tuple[float, float]]:
    """Pairs of step and value, from the rows with a finite value."""
    return [
        (row["step"], row[column])
        for row in rows
        if math.isfinite(row.get(column, math.nan))
    ]


def figure_text(name: str, value: Any) -> Any:
    """A value as tables show it: accuracies in per cent, floats rounded."""
    if not isinstance(value, float):
        return value
    is_share = result_names.kind_of(name) == result_names.SHARE
    return f"{value:.2%}" if is_share else f"{value:.4g}"


def better(name: str) -> Callable[..., Any] | None:
    """`max` or `min`, whichever chooses the better value of a result.

    Returns:
        The function; None for results that are no measure of quality.
    """
    return _BETTER.get(result_names.kind_of(name))
