"""Expands a study into cells: chains of commands with run directories."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from simclr_keras.studies.study import Evaluation
from simclr_keras.studies.study import Point

PRETRAINING = "pretrain"


class Run(NamedTuple):
    """One command of a cell, an ordinary run.

    Attributes:
        measure: name of the `Evaluation`; None for the pre-training. Runs of
            one measure differ in their learning rate.
        command: "pretrain", "linear_eval" or "finetune".
        directory: its run directory.
        flags: dict from flags to text, without `model_dir`.
        same: see `Evaluation`.
    """

    measure: str | None
    command: str
    directory: pathlib.Path
    flags: Mapping[str, str]
    same: Sequence[str] = ()

    @property
    def arguments(self) -> list[str]:
        """Command-line arguments, without the name of the command."""
        flags = {**self.flags, "model_dir": str(self.directory)}
        return [f"--{name}={text}" for name, text in flags.items()]

    @property
    def log(self) -> pathlib.Path:
        """File for the command's output, beside its run directory."""
        return self.directory.with_name(f"{self.directory.name}.log")


class Cell(NamedTuple):
    """One setting of a study with one seed.

    Attributes:
        labels: see `Point`.
        seed: seed of its runs.
        runs: list of `Run`, the pre-training first.
    """

    labels: Mapping[str, str]
    seed: int
    runs: Sequence[Run]

    @property
    def name(self) -> str:
        """Its labels and seed in one line."""
        labels = [f"{name}={text}" for name, text in self.labels.items()]
        return ", ".join([*labels, f"seed={self.seed}"])


def make_cells(
    directory: pathlib.Path,
    points: Sequence[Point],
    evaluations: Sequence[Evaluation],
    seeds: Sequence[int],
    base: Mapping[str, str],
    shared: Mapping[str, Collection[str]],
    defaults: Mapping[str, str | None],
    rates: Mapping[str, float],
) -> list[Cell]:
    """Returns the cells of a study, all points with the first seed first.

    Args:
        directory: of the study.
        points: of `Study.points`.
        evaluations: of `Study.evaluations`.
        seeds: integers.
        base: dict from flags of `simclr-pretrain` to text, for all cells.
        shared: command -> names of the flags that its evaluations take over
            from the pre-training.
        defaults: dict from flags of `simclr-pretrain` to text or None, for
            flags that neither the base nor a point sets.
        rates: command -> default of its `--learning_rate`.

    Raises:
        ValueError: two runs would have the same directory.
    """
    cells = []
    for seed in seeds:
        for point in points:
            folder = directory / "cells" / _slug(point.labels) / f"seed_{seed}"
            flags = {**base, **point.flags, "seed": str(seed)}
            checkpoint = folder / PRETRAINING
            runs = [Run(None, PRETRAINING, checkpoint, flags)]
            for each in evaluations:
                same = {n: flags.get(n, defaults[n]) for n in each.same}
                own = {
                    **_taken_over(flags, shared[each.command], each.flags),
                    **{n: text for n, text in same.items() if text is not None},
                    **each.flags,
                    **point.evaluation,
                    "checkpoint": str(checkpoint),
                    "seed": str(seed),
                }
                runs += _runs(folder, each, own, rates)
            cells.append(Cell(point.labels, seed, runs))
    _check_different([run.directory for cell in cells for run in cell.runs])
    return cells


def _runs(folder, evaluation, flags, rates):
    """A `Run` of an evaluation, or one for each of its learning rates."""
    name, command = evaluation.name, evaluation.command
    if not evaluation.rates:
        place = folder / _slug({"": name})
        return [Run(name, command, place, flags, evaluation.same)]
    runs = []
    for factor in evaluation.rates:
        rate = {"learning_rate": f"{factor * rates[command]:g}"}
        place = folder / _slug({"": name, **rate})
        own = {**flags, **rate}
        runs.append(Run(name, command, place, own, evaluation.same))
    return runs


def with_blur(cell: Cell) -> Cell:
    """Sets `use_blur` for a cell whose pre-training blurs by default.

    Only the evaluations that share the pre-training's views get the flag.
    """
    runs = []
    for run in cell.runs:
        flags = run.flags
        if "use_blur" in run.same:
            flags = {"use_blur": "true", **flags}
        runs.append(
            Run(run.measure, run.command, run.directory, flags, run.same)
        )
    return Cell(cell.labels, cell.seed, runs)


def _taken_over(flags, names, own):
    """Flags that an evaluation takes over from the pre-training.

    An evaluation on another data set does not take over splits and pixel range.
    """
    if "dataset" in own:
        names = {*names} - {"train_split", "eval_split", "pixel_range"}
    return {name: flags[name] for name in names if name in flags}


def _check_different(directories):
    seen = set()
    for directory in directories:
        if directory in seen:
            raise ValueError(
                "the settings and measures of a study must have names that"
                " differ in more than signs. Received: two runs for"
                f" {str(directory)!r}"
            )
        seen.add(directory)


def _slug(labels: Mapping[str, Any]) -> str:
    """Makes the name of a directory from labels."""
    parts = [f"{n}={t}" if n else str(t) for n, t in labels.items()]
    text = ",".join(parts).replace("%", "pct").replace(", ", "_")
    return re.sub(r"[^\w.=,-]+", "_", text)
