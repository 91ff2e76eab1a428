"""Parses the options of a study that are not flags of its pre-trainings."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple


class Options(NamedTuple):
    """Options of a study.

    Attributes:
        grid: dict from flags to lists of values, as text, for the study `grid`.
        label_fractions: fractions of the labels, floats in (0, 1].
        datasets: names of data sets, for the study `transfer`.
    """

    grid: Mapping[str, Sequence[str]]
    label_fractions: Sequence[float]
    datasets: Sequence[str]


def parse(
    study: str,
    grid: Sequence[str] | None,
    label_fractions: Sequence[str],
    datasets: Sequence[str],
    names: Collection[str],
) -> Options:
    """Checks and parses the flags of a study.

    Args:
        study: its name.
        grid: words such as `"temperature=0.1,0.5"`, or None.
        label_fractions: numbers as text.
        datasets: names of data sets.
        names: names of the flags that a grid may vary.

    Raises:
        ValueError: an argument is not valid, or does not apply to the study.
    """
    if bool(grid) != (study == "grid"):
        raise ValueError(
            "--grid must be given with --study=grid, and only then. Received:"
            f" --study={study}, --grid={' '.join(grid or ())}"
        )
    if bool(datasets) != (study == "transfer"):
        raise ValueError(
            "--transfer_datasets must be given with --study=transfer, and only"
            f" then. Received: --study={study},"
            f" --transfer_datasets={','.join(datasets)}"
        )
    return Options(
        _parse_grid(grid or (), names),
        _parse_fractions(label_fractions),
        datasets,
    )


def _parse_grid(words, names):
    """Parses words to a dict from flags to lists of values, as text."""
    grid = {}
    for word in words:
        name, equals, texts = word.partition("=")
        values = texts.split(",")
        wrong = "" in values or len(set(values)) < len(values)
        if not equals or name not in names or name in grid or wrong:
            raise ValueError(
                "--grid must be a flag of simclr-pretrain, other than its"
                " directory and its seed, with values, such as"
                " temperature=0.1,0.5, each flag and value once. Received:"
                f" --grid={word}"
            )
        grid[name] = values
    return grid


def _parse_fractions(texts):
    try:
        fractions = [float(text) for text in texts]
    except ValueError:
        fractions = [0.0]
    if not all(0.0 < fraction <= 1.0 for fraction in fractions):
        raise ValueError(
            "--label_fractions must be numbers above 0 and up to 1, such as"
            f" 0.01,0.1. Received: --label_fractions={','.join(texts)}"
        )
    return fractions
