"""Writes the figures of a classifier of several labels at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from simclr_keras import evaluation
from simclr_keras import training
from simclr_keras.report import figure_files
from simclr_keras.report import plots

_MOST_NAMES = 60  # most labels with names beside their bars
_TITLE = "Average precision of each label"


def write(
    directory: training.RunDirectory,
    names: Sequence[str],
    labels: np.ndarray,
    probabilities: np.ndarray,
) -> None:
    """Writes `labels.csv` and a picture of the average precisions.

    The PNG is also written to TensorBoard.

    Args:
        directory: `RunDirectory` of the evaluation.
        names: names of the K labels.
        labels: `[n, K]` of 0 and 1.
        probabilities: float `[n, K]`.
    """
    names = [str(name) for name in names]
    figures = evaluation.label_figures(probabilities, labels)
    figure_files.write_csv(
        directory.path / "labels.csv",
        ["label", "images", "average_precision", "precision", "recall", "f1"],
        figure_files.rows(names, figures),
    )
    each = figures.average_precision
    text = f"{_TITLE}: {len(names)} labels, {len(labels)} images."
    if np.isfinite(each).any():
        worst = int(np.nanargmin(each))
        text += f" Lowest: {names[worst]}, {each[worst]:.3f}."
    figure = precision_figure(each, figures.images / len(labels), names)
    figure_files.save(directory, "labels", figure, _TITLE, text)


@plots.styled
def precision_figure(
    precisions: np.ndarray, shares: np.ndarray, names: Sequence[str]
) -> Figure:
    """Draws a bar for each label, and what a guess at random would reach.

    Args:
        precisions: average precision of each label, `[K]`, or NaN.
        shares: share of the images that have the label, `[K]`, which is the
            average precision of a guess.
        names: names of the K labels.

    Returns:
        `matplotlib.figure.Figure`.
    """
    places = np.arange(len(names))
    height = min(1.2 + 0.22 * len(names), 14.0)
    figure = Figure(figsize=(6.0, height), dpi=160, layout="constrained")
    axes = figure.subplots()
    axes.barh(places, np.nan_to_num(precisions), color=plots.COLORS[0])
    axes.plot(
        shares,
        places,
        linestyle="",
        marker="|",
        markersize=9,
        color="black",
        label="guess at random",
    )
    if len(names) <= _MOST_NAMES:
        axes.set_yticks(places, [plots.shorten(name) for name in names])
        axes.tick_params(axis="y", labelsize=8)
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    axes.set_title(_TITLE, fontsize=11)
    axes.legend(loc="lower right", fontsize=8, frameon=True)
    return figure
