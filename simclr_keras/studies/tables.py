"""Gathers the results of a study's runs: a row a cell, a line a setting."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from simclr_keras.studies.cells import Cell
from simclr_keras.training import RunDirectory
from simclr_keras.training.text_files import read_json

KNN = "kNN"
FAILED = "failed"


class Spread(NamedTuple):
    """A figure over seeds.

    Attributes:
        mean: of the seeds.
        deviation: standard deviation of the seeds (divided by n - 1); None for
            one seed.
        count: number of seeds.
    """

    mean: float
    deviation: float | None
    count: int

    def __str__(self) -> str:
        """In percent, with the standard deviation where there is one."""
        text = f"{100 * self.mean:.1f}"
        if self.deviation is not None:
            text += f" ± {100 * self.deviation:.1f}"
        return text


def measures(cell: Cell, failed: bool = False) -> dict[str, float]:
    """Returns the figures of a cell as far as its runs have ended.

    Of several runs of one measure it is the best, when all of them have ended.

    Args:
        cell: with its runs.
        failed: whether all its runs were tried, and one failed: that one has
            no figure, and of the others of its measure the best counts.

    Returns:
        Dict of measure -> accuracy in [0, 1]; `KNN` is the pre-training's.
    """
    gathered = {}
    for run in cell.runs:
        results = RunDirectory(run.directory).finished() or {}
        name, key = (
            (KNN, "knn_accuracy")
            if run.measure is None
            else (run.measure, "accuracy")
        )
        gathered.setdefault(name, []).append(results.get(key))
    best = {}
    for name, figures in gathered.items():
        ended = [float(figure) for figure in figures if figure is not None]
        if ended and (failed or len(ended) == len(figures)):
            best[name] = max(ended)
    return best


def seconds(cell: Cell) -> float | None:
    """Returns what the runs of a cell took; None if not all have ended."""
    total = 0.0
    for run in cell.runs:
        directory = RunDirectory(run.directory)
        if not directory.results.exists():
            return None
        total += read_json(directory.timing).get("seconds", 0.0)
    return total


def csv_text(
    cells: Sequence[Cell], states: Mapping[str, str], names: Sequence[str]
) -> str:
    """Returns the table of all cells as CSV.

    Args:
        cells: of the study.
        states: name of a cell -> `FAILED` where all its runs were tried and
            one failed, or another word; of those that are left out "finished"
            is said if all their runs have ended.
        names: names of the measures, in their order.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    labels = list(dict.fromkeys(n for cell in cells for n in cell.labels))
    writer.writerow([*labels, "seed", "state", *names, "directory"])
    for cell in cells:
        figures = measures(cell, states.get(cell.name) == FAILED)
        done = all(
            RunDirectory(r.directory).results.exists() for r in cell.runs
        )
        state = states.get(cell.name, "finished" if done else "not finished")
        writer.writerow(
            [
                *(cell.labels.get(name, "") for name in labels),
                cell.seed,
                state,
                *(figures.get(name, "") for name in names),
                cell.runs[0].directory.parent,
            ]
        )
    return file.getvalue()


def settings(
    cells: Sequence[Cell], states: Mapping[str, str]
) -> list[tuple[Mapping[str, str], dict[str, Spread]]]:
    """Returns the figures of each setting over its seeds.

    Args:
        cells: of the study.
        states: see `csv_text`.

    Returns:
        List of `(labels, dict of measure -> Spread)`, in the order of the
        cells; of cells that have no figure yet the dict is empty.
    """
    gathered = {}
    for cell in cells:
        key = tuple(cell.labels.items())
        failed = states.get(cell.name) == FAILED
        gathered.setdefault(key, []).append(measures(cell, failed))
    return [
        (
            dict(key),
            {name: _spread(of_seeds, name) for name in _names(of_seeds)},
        )
        for key, of_seeds in gathered.items()
    ]


def _names(of_seeds):
    return list(dict.fromkeys(name for each in of_seeds for name in each))


def _spread(of_seeds, name):
    values = [each[name] for each in of_seeds if name in each]
    mean = math.fsum(values) / len(values)
    deviation = None
    if len(values) > 1:
        square = math.fsum((v - mean) ** 2 for v in values)
        deviation = math.sqrt(square / (len(values) - 1))
    return Spread(mean, deviation, len(values))
