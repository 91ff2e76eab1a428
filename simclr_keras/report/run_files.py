"""Reads what a report shows of a run directory."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from simclr_keras import paths
from simclr_keras import training
from simclr_keras.training import run_directory


def open_run(directory: paths.PathLike) -> training.RunDirectory:
    """Opens the directory of a run of any command.

    Raises:
        ValueError: there is no run in the directory.
    """
    run = training.RunDirectory(directory)
    if not run.flags.is_file():
        raise ValueError(
            "a report is of run directories, as the commands leave them in"
            f" --model_dir. Received: {str(directory)!r}, which has no"
            f" {run.flags.name}"
        )
    return run


def metrics_rows(
    run: training.RunDirectory, scope: str
) -> list[dict[str, float]]:
    """Reads rows of `metrics.csv`.

    The run may be writing to it: a line that is not whole is left out.

    Args:
        run: the run's directory.
        scope: `"epoch"` or `"steps"`, see `training.metrics_file`.

    Returns:
        List of dicts from columns to numbers; without empty cells.
    """
    if not run.metrics.is_file():
        return []
    text = run.metrics.read_bytes().decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    rows = []
    for row in csv.DictReader(x for x in lines if x[-1] == "\n"):
        if row.pop("scope", None) != scope:
            continue
        try:
            row = {name: float(cell) for name, cell in row.items() if cell}
        except (TypeError, ValueError):  # more cells than columns, or damaged
            continue
        if "step" in row:
            rows.append(row)
    return rows


def points(
    rows: Iterable[Mapping[str, float]], column: str
) -> list[tuple[float, float]]:
    """Pairs of step and figure, where it was measured and is finite."""
    return [
        (row["step"], row[column])
        for row in rows
        if math.isfinite(row.get(column, math.nan))
    ]


def timing(run: training.RunDirectory) -> dict[str, Any]:
    """The dict of `timing.json`; empty of a run that has not ended."""
    if not run.timing.is_file():
        return {}
    return run_directory.read_json(run.timing)


def figure_text(name: str, value: Any) -> Any:
    """A figure as tables show it: accuracies in per cent, floats rounded."""
    if not isinstance(value, float):
        return value
    return f"{value:.2%}" if is_accuracy(name) else f"{value:.4g}"


def is_accuracy(name: str) -> bool:
    """Whether a figure is a share of images, more of which is better."""
    return "accuracy" in name or name == "top5"
