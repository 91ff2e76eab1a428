"""Writes figures of classes, labels or numbers as tables and pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from simclr_keras import paths
from simclr_keras import training
from simclr_keras.report import grids
from simclr_keras.report import plots


def rows(
    names: Sequence[str], figures: Iterable[np.ndarray], form: str = ".4f"
) -> Iterable[tuple]:
    """Rows of a table: a name and its figures.

    Args:
        names: K texts.
        figures: arrays `[K]`. Integers stay as they are, NaN becomes "".
        form: format of the other numbers. Defaults to four decimals.
    """
    return zip(names, *([_cell(x, form) for x in each] for each in figures))


def _cell(value, form):
    if isinstance(value, np.integer):
        return int(value)
    return "" if np.isnan(value) else format(value, form)


def write_csv(
    path: paths.AnyPath, header: Sequence[str], rows: Iterable[Sequence]
) -> None:
    """Writes a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    training.write_whole(path, text.getvalue())


def save(
    directory: training.RunDirectory,
    name: str,
    figure: Figure,
    title: str,
    description: str,
) -> None:
    """Saves a figure in a run directory, and its PNG to TensorBoard.

    Args:
        directory: `RunDirectory`.
        name: name of the files, without extension.
        figure: the figure.
        title: its title.
        description: its text alternative.
    """
    path = plots.save(figure, directory.path / name, title, description)
    picture = tf.io.decode_png(path.read_bytes(), channels=3)
    grids.write_to_tensorboard(directory.tensorboard, name, picture)
