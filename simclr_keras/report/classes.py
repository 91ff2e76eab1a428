"""Writes the metrics of each class and the confusion matrix of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from simclr_keras import training
from simclr_keras.evaluation import confusion
from simclr_keras.report import figure_files
from simclr_keras.report import plots

_MAX_NUMBERS = 20  # most classes with numbers in the cells
_MAX_NAMES = 60  # most classes with names of rows and columns
_TITLE = "Classes and what they were taken for"


def write(
    directory: training.RunDirectory,
    names: Sequence[str],
    labels: np.ndarray,
    predictions: np.ndarray,
) -> None:
    """Writes `classes.csv`, `confusion.csv` and pictures of the matrix.

    The PNG is also written to TensorBoard.

    Args:
        directory: `RunDirectory` of the evaluation.
        names: names of the K classes.
        labels: integers `[n]`, 0 to K - 1.
        predictions: integers `[n]`, 0 to K - 1.
    """
    names = [str(name) for name in names]
    counts = confusion.confusion_matrix(labels, predictions, len(names))
    figures = confusion.class_figures(counts)
    figure_files.write_csv(
        directory.path / "classes.csv",
        ["class", "images", "accuracy", "precision", "f1"],
        figure_files.rows(names, figures),
    )
    figure_files.write_csv(
        directory.path / "confusion.csv",
        ["class", *names],
        ([name, *row] for name, row in zip(names, counts.tolist())),
    )
    figure_files.save(
        directory,
        "confusion",
        confusion_figure(counts, names),
        _TITLE,
        _describe(counts, names),
    )


def _describe(counts, names):
    """Text alternative of the picture."""
    off = counts - np.diag(np.diagonal(counts))
    text = f"{_TITLE}: {len(names)} classes, {counts.sum()} images."
    if off.any():
        i, j = np.unravel_index(off.argmax(), off.shape)
        text += (
            f" Most often wrong: {names[i]} taken for {names[j]}, {off[i, j]}"
            f" of {counts[i].sum()}."
        )
    return text


@plots.styled
def confusion_figure(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Draws the confusion matrix, each row in per cent of its class.

    Args:
        counts: integers `[K, K]`, from `confusion.confusion_matrix`.
        names: names of the K classes.

    Returns:
        `matplotlib.figure.Figure`.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = 100.0 * counts / np.maximum(totals, 1)
    size = min(2.2 + 0.45 * len(names), 12.0)
    figure = Figure(figsize=(size + 1.0, size), dpi=160, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    if len(names) <= _MAX_NUMBERS:
        for i, j in np.argwhere(counts):
            axes.text(
                j,
                i,
                f"{shares[i, j]:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[i, j] > 55 else "black",
            )
    if len(names) <= _MAX_NAMES:
        shown = [plots.shorten(name) for name in names]
        axes.set_xticks(range(len(names)), shown, rotation=90, fontsize=8)
        axes.set_yticks(range(len(names)), shown, fontsize=8)
    axes.set(xlabel="taken for", ylabel="class")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(_TITLE, fontsize=11)
    figure.colorbar(image, ax=axes, label="% of the class", shrink=0.8)
    return figure
