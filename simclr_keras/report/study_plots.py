"""Draws the results of a study: bars, lines and matrices of accuracies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from simclr_keras.report import plots
from simclr_keras.studies.tables import Spread


@plots.styled
def bars(title: str, values: Mapping[str, Mapping[str, Spread]]) -> Figure:
    """Draws a point for each setting and measure, with standard deviations.

    Args:
        title: text above them.
        values: dict of setting -> dict of measure -> `Spread`.

    Returns:
        `matplotlib.figure.Figure`.
    """
    measures = list(dict.fromkeys(n for each in values.values() for n in each))
    height = 1.3 + 0.24 * len(values) * max(1, len(measures) / 2)
    figure = Figure(figsize=(6.4, height), dpi=160, layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(values))
    for number, (measure, color, marker) in enumerate(
        zip(measures, itertools.cycle(plots.COLORS), itertools.cycle("osD^v"))
    ):
        shift = 0.14 * (number - (len(measures) - 1) / 2)
        shown = [
            (place + shift, each[measure])
            for place, each in zip(places, values.values())
            if measure in each
        ]
        axes.errorbar(
            [100 * spread.mean for _, spread in shown],
            [place for place, _ in shown],
            xerr=[100 * (spread.deviation or 0.0) for _, spread in shown],
            color=color,
            marker=marker,
            markersize=5,
            linestyle="none",
            capsize=3,
            label=measure,
        )
    axes.set_yticks(places, list(values))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("accuracy, %")
    axes.set_title(title, fontsize=11)
    if len(measures) > 1:
        figure.legend(loc="outside lower center", ncols=min(3, len(measures)))
    return figure


@plots.styled
def lines(
    title: str,
    x_name: str,
    series: Mapping[tuple[str, str], Sequence[tuple[float, Spread]]],
) -> Figure:
    """Draws lines; the x axis is logarithmic if all x are positive.

    Args:
        title: text above them.
        x_name: text at the axis.
        series: dict of (measure, setting) -> list of `(x, Spread)`. A setting
            has its colour and a measure its dash pattern; with one setting,
            a measure has its colour, too.

    Returns:
        `matplotlib.figure.Figure`.
    """
    figure = Figure(figsize=(6.4, 3.8), dpi=160, layout="constrained")
    axes = figure.subplots()
    measures, settings = (list(dict.fromkeys(each)) for each in zip(*series))
    for (measure, setting), points in series.items():
        number = settings.index(setting)
        if len(settings) == 1:
            number = measures.index(measure)
        color = plots.COLORS[number % len(plots.COLORS)]
        dash = ("-", "--", ":")[measures.index(measure) % 3]
        xs, spreads = zip(*sorted(points, key=lambda point: point[0]))
        axes.errorbar(
            xs,
            [100 * spread.mean for spread in spreads],
            yerr=[100 * (spread.deviation or 0.0) for spread in spreads],
            color=color,
            linestyle=dash,
            marker="o",
            markersize=4,
            capsize=3,
            label=", ".join(filter(None, [measure, setting])),
        )
    ticks = sorted({x for points in series.values() for x, _ in points})
    if min(ticks) > 0:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(x_name)
    axes.set_ylabel("accuracy, %")
    axes.set_title(title, fontsize=11)
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=2)
    return figure


@plots.styled
def matrix(
    title: str,
    names: Sequence[str],
    values: Mapping[tuple[str, str], Spread],
) -> Figure:
    """Draws a heat map over pairs, with a number in each cell.

    Args:
        title: text above it.
        names: names of the rows, which are also those of the columns.
        values: dict of (row, column) -> `Spread`, drawn in both (row, column)
            and (column, row).

    Returns:
        `matplotlib.figure.Figure`.
    """
    cells = np.full([len(names)] * 2, np.nan)
    for (first, second), spread in values.items():
        i, j = names.index(first), names.index(second)
        cells[i, j] = cells[j, i] = 100 * spread.mean
    side = 1.8 + 0.75 * len(names)
    figure = Figure(figsize=(side + 1.0, side), dpi=160, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(cells, cmap="viridis")
    low, high = np.nanmin(cells), np.nanmax(cells)
    for i, j in np.argwhere(np.isfinite(cells)):
        dark = cells[i, j] < (low + high) / 2
        axes.text(
            j,
            i,
            f"{cells[i, j]:.1f}",
            ha="center",
            va="center",
            color="white" if dark else "black",
        )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=11)
    figure.colorbar(image, ax=axes, label="accuracy, %", shrink=0.8)
    return figure
