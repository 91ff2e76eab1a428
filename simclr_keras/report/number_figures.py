"""Writes the figures of a regression: errors, and a picture of predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from simclr_keras import evaluation
from simclr_keras import training
from simclr_keras.report import figure_files
from simclr_keras.report import plots

_MOST_POINTS = 2000
_MOST_PANELS = 12
_COLUMNS = 3
_TITLE = "Predicted over true values"


def write(
    directory: training.RunDirectory,
    names: Sequence[str],
    targets: np.ndarray,
    predictions: np.ndarray,
) -> None:
    """Writes `numbers.csv` and a picture of the predictions.

    The PNG is also written to TensorBoard.

    Args:
        directory: `RunDirectory` of the evaluation.
        names: names of the K targets.
        targets: float `[n, K]`.
        predictions: float `[n, K]`, in the same units.
    """
    names = [str(name) for name in names]
    figures = evaluation.regression_figures(predictions, targets)
    figure_files.write_csv(
        directory.path / "numbers.csv",
        ["number", "mse", "rmse", "mae", "r2"],
        figure_files.rows(names, figures, ".6g"),
    )
    errors = [
        f"{name} with an RMSE of {rmse:.4g}"
        for name, rmse in zip(names[:_MOST_PANELS], figures.rmse)
    ]
    text = f"{_TITLE} of {len(targets)} images: {', '.join(errors)}."
    figure = scatter_figure(targets, predictions, names)
    figure_files.save(directory, "numbers", figure, _TITLE, text)


@plots.styled
def scatter_figure(
    targets: np.ndarray, predictions: np.ndarray, names: Sequence[str]
) -> Figure:
    """Draws predictions over true values, a panel for each target.

    Args:
        targets: float `[n, K]`. Of many rows, evenly spaced ones are drawn.
        predictions: float `[n, K]`.
        names: names of the K targets, of which the first twelve are drawn.

    Returns:
        `matplotlib.figure.Figure`.
    """
    count = min(len(names), _MOST_PANELS)
    columns = min(count, _COLUMNS)
    lines = -(-count // columns)
    rows = np.linspace(
        0, len(targets) - 1, min(len(targets), _MOST_POINTS), dtype=int
    )
    figure = Figure(
        figsize=(3.2 * columns + 0.4, 3.2 * lines + 0.4),
        dpi=160,
        layout="constrained",
    )
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for k, axes in enumerate(panels):
        if k >= count:
            axes.set_axis_off()
            continue
        true, predicted = targets[rows, k], predictions[rows, k]
        both = np.concatenate([true, predicted])
        ends = [both.min(), both.max()]
        axes.plot(ends, ends, color="#969696", linewidth=1)
        axes.plot(
            true,
            predicted,
            linestyle="",
            marker=".",
            markersize=4,
            alpha=0.6,
            color=plots.COLORS[0],
        )
        axes.set_title(plots.shorten(names[k]), fontsize=10)
        axes.set(xlabel="true", ylabel="predicted")
    figure.suptitle(_TITLE, fontsize=11)
    return figure
