"""Converts the cells of a label table to labels, and labels to text."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence

import numpy as np

from simclr_keras.data.sources.labels import look_measured
from simclr_keras.data.sources.layout import classes_text
from simclr_keras.data.sources.layout import listed

_NAMES_APART = re.compile("[|;]")
# Cells that some programs write for what is not known.
_MISSING = ("na", "n/a", "nan", "null", "?")
_FEW = 10  # classes that may have one image each without a warning
_LARGEST = float(np.finfo(np.float32).max)
_INTEGER = re.compile(r"[+-]?\d+")
_ZERO_ONE = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


def from_cells(
    cells: Sequence[tuple[str, ...]],
    lines: Sequence[int],
    columns: Sequence[str],
    task: str,
    table: str,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Converts the label cells of all rows to labels.

    Classes are numbered in the order of their names, whole numbers in the order
    of their values.

    Args:
        cells: for each of n rows the texts in the columns of labels, none of
            them empty (except as `is_empty` says).
        lines: number of the line of each row, for messages.
        columns: names of the columns.
        task: one of `choices.TASKS`.
        table: name of the file, for messages.

    Returns:
        Pair of the labels and the names of classes, labels or columns: `int64`
        `[n]` for `"classification"`, else `float32` `[n, K]`, for
        `"multilabel"` of 0 and 1.

    Raises:
        ValueError: the cells are not what the task takes.
    """
    if task == "regression":
        return _numbers(cells, lines, columns, table), tuple(columns)
    if task == "multilabel":
        return _several(cells, lines, columns, table)
    return _classes([row[0] for row in cells], columns[0], table)


def is_empty(row: tuple[str, ...], task: str) -> bool:
    """Whether a row has no label, by its label cells.

    One cell of names for `"multilabel"` may be empty: the image has none of the
    labels.
    """
    if task == "multilabel" and len(row) == 1:
        return False
    return not all(row)


def _classes(texts, column, table):
    distinct = sorted(set(texts))
    if all(map(_INTEGER.fullmatch, distinct)):
        distinct.sort(key=int)
    elif all(map(_is_fraction, distinct)) and look_measured(
        len(distinct), len(texts)
    ):
        raise ValueError(
            f"Column {column} of {table} must hold classes, each with several"
            " images; fractions that hardly ever come twice are measurements,"
            f" for --task=regression. Received: {len(distinct)} different"
            f" numbers for {len(texts)} images"
        )
    if len(distinct) < 2:
        raise ValueError(
            f"Column {column} of {table} must hold at least two classes; empty"
            " `label_columns` (--label_columns=) means images without labels."
            f" Received: {distinct[0]!r} for all {len(texts)} images"
        )
    several = [name for name in distinct if "|" in name]
    if several:
        warnings.warn(
            f"{len(several)} of the {len(distinct)} classes in column {column}"
            f" of {table} contain |, such as {several[0]!r}. Each of them is"
            " one class; --task=multilabel reads several labels.",
            stacklevel=6,
        )
    missing = [name for name in distinct if name.lower() in _MISSING]
    if missing:
        warnings.warn(
            f"Column {column} of {table} has the classes {', '.join(missing)};"
            " images without a label have empty cells.",
            stacklevel=6,
        )
    if len(distinct) > _FEW and 2 * len(distinct) > len(texts):
        warnings.warn(
            f"Column {column} of {table} has {len(distinct)} classes for"
            f" {len(texts)} images, such as {distinct[0]!r}. Classes need"
            " several images each; numbers are for --task=regression.",
            stacklevel=6,
        )
    numbers = {name: k for k, name in enumerate(distinct)}
    return np.array([numbers[x] for x in texts], np.int64), tuple(distinct)


def _several(cells, lines, columns, table):
    single = {row[0].lower() for row in cells if row[0]}
    if len(columns) == 1 and not (single and single <= set(_ZERO_ONE)):
        return _named([row[0] for row in cells], columns[0], table)
    labels = np.zeros([len(cells), len(columns)], np.float32)
    for k, (row, line) in enumerate(zip(cells, lines)):
        for j, (text, column) in enumerate(zip(row, columns)):
            if text.lower() not in _ZERO_ONE:
                raise ValueError(
                    f"Columns of labels of {table} must hold 0 and 1 for"
                    f" --task=multilabel. Received: {text!r} in column"
                    f" {column}, line {line}"
                    + ("" if text else "; write 0, or leave the row out")
                )
            labels[k, j] = _ZERO_ONE[text.lower()]
    return labels, tuple(columns)


def _named(texts, column, table):
    """Labels from cells such as `"red|blue"`."""
    rows = [
        {name.strip() for name in _NAMES_APART.split(text)} - {""}
        for text in texts
    ]
    names = tuple(sorted(set().union(*rows)))
    commas = [name for name in names if "," in name]
    if commas:
        warnings.warn(
            f"{len(commas)} of the {len(names)} labels in column {column} of"
            f" {table} contain a comma, such as {commas[0]!r}. Each of them is"
            " one label; | or ; separates several.",
            stacklevel=7,
        )
    if not names:
        raise ValueError(
            f"Column {column} of {table} must name labels, with | or ; between"
            f" them. Received: {len(texts)} empty cells"
        )
    numbers = {name: k for k, name in enumerate(names)}
    labels = np.zeros([len(rows), len(names)], np.float32)
    for k, row in enumerate(rows):
        labels[k, [numbers[name] for name in row]] = 1.0
    return labels, names


def _numbers(cells, lines, columns, table):
    values = np.zeros([len(cells), len(columns)], np.float32)
    for k, (row, line) in enumerate(zip(cells, lines)):
        for j, (text, column) in enumerate(zip(row, columns)):
            if not _is_number(text) or abs(float(text)) > _LARGEST:
                raise ValueError(
                    f"Columns of labels of {table} must hold numbers for"
                    " --task=regression, in float32 and written as 3.5, or be"
                    " empty where an image has none. Received:"
                    f" {text!r} in column {column}, line {line}"
                )
            values[k, j] = float(text)
    return values


def _is_fraction(text):
    """Whether a text is a number, perhaps with a decimal comma."""
    return _is_number(text.replace(",", ".", 1))


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def describe(labels: np.ndarray, names: Sequence[str], task: str) -> str:
    """A phrase for the line that says how images are read.

    Args:
        labels: labels of all splits, from `from_cells`.
        names: names of classes, labels or columns.
        task: one of `choices.TASKS`.
    """
    if task == "classification":
        return classes_text(names)
    if task == "multilabel":
        none = int((labels.sum(axis=1) == 0).sum())
        text = f"{listed('label', names)}, {labels.sum(axis=1).mean():.3g} an"
        return f"{text} image" + (f", none at {none:,}" if none else "")
    lows, highs = labels.min(axis=0), labels.max(axis=0)
    ranges = [
        f"{name} ({low:.6g} to {high:.6g})"
        for name, low, high in zip(names, lows, highs)
    ]
    return listed("number", ranges)


def label_texts(
    labels: np.ndarray, names: Sequence[str], task: str
) -> list[str]:
    """Labels as text: a class, or names with `|` between them, or numbers.

    Args:
        labels: `[n]` or `[n, K]`, see `from_cells`.
        names: names of classes, labels or columns.
        task: one of `choices.TASKS`.

    Returns:
        List of n strings.
    """
    if task == "classification":
        return [names[label] for label in labels]
    if task == "multilabel":
        return ["|".join(names[k] for k in np.flatnonzero(x)) for x in labels]
    return ["; ".join(f"{value:.7g}" for value in row) for row in labels]
