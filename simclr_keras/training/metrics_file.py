"""Writes and reads `metrics.csv`; new metrics add columns to it."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping

from simclr_keras import disk
from simclr_keras import paths

_FIRST = ("scope", "epoch", "step")


class MetricsFile:
    """Appends rows to a CSV file.

    A row's `scope` says over what its values are averaged: `steps`, the steps
    since the row before, or `epoch`, a fit epoch, which is one epoch or, with
    few images, several. Its `epoch` counts passes over the data from 0. An
    empty cell was not measured.

    A damaged file is kept under another name, `metrics.csv.damaged-1` and so
    on; its intact rows are copied.

    Args:
        path: the file; rows of an earlier part of the run are kept.
        keep_until: last step whose rows are kept. Later rows were written after
            the checkpoint from which the run resumes.
        rows_until: last step that should have rows, or None for a new run; a
            warning says which rows are lost.
    """

    def __init__(
        self,
        path: paths.AnyPath,
        keep_until: int,
        rows_until: int | None = None,
    ):
        self._path = path
        data = path.read_bytes() if path.exists() else b""
        self._columns, rows, damage = read_rows(data)
        self._rows = [row for row in rows if int(row["step"]) <= keep_until]
        if damage is not None:
            aside = _set_aside(path)
            warnings.warn(
                f"{path} is damaged ({damage}). It is kept as {aside}; the run"
                f" goes on with the {len(self._rows)} rows that can be read.",
                stacklevel=2,
            )
        last = max((int(row["step"]) for row in self._rows), default=0)
        if rows_until is not None and last < rows_until:
            warnings.warn(
                f"{path} has lost its rows of steps {last + 1} to {rows_until}."
                " The run goes on, and its curves lack them.",
                stacklevel=2,
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()

    def write(
        self, scope: str, epoch: int, step: int, values: Mapping[str, float]
    ) -> None:
        """Appends a row of values (dict of floats)."""
        row = {"scope": scope, "epoch": epoch, "step": step}
        row.update({name: f"{value:.9g}" for name, value in values.items()})
        self._rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite()
            return
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self):
        aside = self._path.with_name(self._path.name + ".partial")
        with disk.naming(aside), aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(self._rows)
        aside.replace(self._path)


def read_rows(
    data: bytes,
) -> tuple[list[str], list[dict[str, str]], str | None]:
    """Reads a `metrics.csv` that may be cut off, damaged or just being written.

    Args:
        data: the file's content, perhaps empty.

    Returns:
        List of the columns; the intact rows, dicts from columns to texts; and
        what is wrong with the other rows, or None.
    """
    text = data.decode("utf-8", "replace")
    # A full disk may have cut the last line, even in its step.
    lines = [x for x in text.splitlines(keepends=True) if x[-1] == "\n"]
    if not lines:
        return list(_FIRST), [], None  # cut off in its first line, or emptied
    columns, *rows = map(_cells, lines)
    if tuple(columns[: len(_FIRST)]) != _FIRST or "\ufffd" in lines[0]:
        wrong = f"its first line must begin with {','.join(_FIRST)}"
        return list(_FIRST), [], wrong
    good = [r for r in rows if len(r) == len(columns) and _is_row(r)]
    wrong = None
    if len(good) < len(rows):
        wrong = f"{len(rows) - len(good)} of {len(rows)} rows are not numeric"
    return columns, [dict(zip(columns, row)) for row in good], wrong


def _cells(line):
    """The cells of a line of CSV; an empty list if it is damaged."""
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return []


def _is_row(cells):
    """Whether a line has a scope, an epoch, a step and figures."""
    scope, epoch, step, *figures = cells
    if scope not in ("steps", "epoch") or not epoch.isdigit():
        return False
    try:
        [float(figure) for figure in figures if figure]
    except ValueError:
        return False
    return step.isdigit()


def _set_aside(path):
    """Renames a file to an unused name, and returns that."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    return aside
