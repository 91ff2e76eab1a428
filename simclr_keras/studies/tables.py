"""Gathers the results of a study's runs, for each cell and each setting."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from simclr_keras.studies.cells import Cell
from simclr_keras.studies.failures import Failures
from simclr_keras.training import RunDirectory
from simclr_keras.training.text_files import read_json

KNN = "kNN"
FAILED = "failed"
# Mark of a result that is the best of fewer learning rates, and its footnote.
FEWER = "†"
WHY_FEWER = (
    f"{FEWER} The best of fewer learning rates, as training diverged at others."
)


class Spread(NamedTuple):
    """A result over several seeds.

    Attributes:
        mean: of the seeds.
        deviation: standard deviation of the seeds (divided by n - 1); None for
            one seed.
        count: number of seeds.
        fewer: whether it is the best of fewer learning rates, because training
            diverged at others.
    """

    mean: float
    deviation: float | None
    count: int
    fewer: bool = False

    def __str__(self) -> str:
        """Mean in percent, and the standard deviation if there is one."""
        text = f"{100 * self.mean:.1f}"
        if self.deviation is not None:
            text += f" ± {100 * self.deviation:.1f}"
        if self.fewer:
            text += f" {FEWER}"
        return text


def measures(cell: Cell, failures: Failures) -> dict[str, float]:
    """Returns the results of a cell, as far as its runs have finished.

    If a measure has several runs, its result is the best of them, once all of
    them have finished or are passed over.

    Args:
        cell: with its runs.
        failures: of the study.

    Returns:
        Dict of measure -> accuracy in [0, 1]; `KNN` is the pre-training's.
    """
    passed_over = failures.passed_over(cell)
    gathered = {}
    for run in cell.runs:
        if run in passed_over:
            continue
        results = RunDirectory(run.directory).finished() or {}
        name, key = (
            (KNN, "knn_accuracy")
            if run.measure is None
            else (run.measure, "accuracy")
        )
        gathered.setdefault(name, []).append(results.get(key))
    return {
        name: max(map(float, figures))
        for name, figures in gathered.items()
        if None not in figures
    }


def state(cell: Cell, failures: Failures) -> str:
    """Returns "finished", "not finished" or `FAILED`."""
    if failures.of(cell):
        return FAILED
    return "finished" if failures.all_settled(cell) else "not finished"


def seconds(
    cell: Cell, failures: Failures, tried: bool = False
) -> float | None:
    """Returns the seconds that all runs of a cell took together.

    Args:
        cell: with its runs.
        failures: of the study.
        tried: whether to leave out evaluations that have not finished; the
            result is then None only if the pre-training has not. Defaults to
            False: the result is None if any run has not finished. Runs that are
            passed over are always left out.
    """
    total = 0.0
    for run in cell.runs:
        directory = RunDirectory(run.directory)
        if directory.results.exists():
            total += read_json(directory.timing).get("seconds", 0.0)
        elif not failures.settled(cell, run):
            if not tried or run.measure is None:
                return None
    return total


def csv_text(
    cells: Sequence[Cell], failures: Failures, names: Sequence[str]
) -> str:
    """Returns the table of all cells as CSV.

    Args:
        cells: of the study.
        failures: of the study.
        names: names of the measures, in their order.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    labels = list(dict.fromkeys(n for cell in cells for n in cell.labels))
    writer.writerow([*labels, "seed", "state", *names, "directory"])
    for cell in cells:
        figures = measures(cell, failures)
        writer.writerow(
            [
                *(cell.labels.get(name, "") for name in labels),
                cell.seed,
                state(cell, failures),
                *(figures.get(name, "") for name in names),
                cell.runs[0].directory.parent,
            ]
        )
    return file.getvalue()


def settings(
    cells: Sequence[Cell], failures: Failures
) -> list[tuple[Mapping[str, str], dict[str, Spread]]]:
    """Returns the results of each setting over its seeds.

    Args:
        cells: of the study.
        failures: of the study.

    Returns:
        List of `(labels, dict of measure -> Spread)`, in the order of the
        cells; the dict is empty if a setting has no result yet.
    """
    gathered, fewer = {}, {}
    for cell in cells:
        key = tuple(cell.labels.items())
        gathered.setdefault(key, []).append(measures(cell, failures))
        passed_over = {run.measure for run in failures.passed_over(cell)}
        fewer.setdefault(key, set()).update(passed_over & {*gathered[key][-1]})
    return [
        (
            dict(key),
            {
                name: _spread(of_seeds, name, name in fewer[key])
                for name in _names(of_seeds)
            },
        )
        for key, of_seeds in gathered.items()
    ]


def _names(of_seeds):
    return list(dict.fromkeys(name for each in of_seeds for name in each))


def _spread(of_seeds, name, fewer):
    values = [each[name] for each in of_seeds if name in each]
    mean = math.fsum(values) / len(values)
    deviation = None
    if len(values) > 1:
        square = math.fsum((v - mean) ** 2 for v in values)
        deviation = math.sqrt(square / (len(values) - 1))
    return Spread(mean, deviation, len(values), fewer)
