"""Draws images with their neighbours: frames, similarities, file names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from simclr_keras.report import plots

_QUERY = "#969696"
_MATCH, _OTHER = ("#28a03c", "-"), ("#c83232", (0, (2, 1)))
# Pixels: height of the heading, gap after the query, gap between images.
_TOP, _GAP, _SPACE = 24, 12, 14
_LINE, _CHARACTER = 11, 5.0  # pixels: height of a line, width of a letter


@plots.styled
def neighbors(
    queries: np.ndarray,
    images: np.ndarray,
    matches: np.ndarray | None = None,
    texts: Sequence[Sequence[Sequence[str]]] | None = None,
) -> Figure:
    """Draws queries on the left, each with its neighbours beside it.

    Args:
        queries: uint8 `[q, H, W, 3]`.
        images: uint8 `[q, k, H, W, 3]`, the nearest first.
        matches: booleans `[q, k]`, whether a neighbour has the query's class.
            It gets a green frame then, else a dashed red one. Defaults to None:
            all frames are grey.
        texts: for each of the q queries a list of `1 + k`, the lines of text
            below the query and below each neighbour. Lines that are too long
            lose their beginning. Defaults to None.

    Returns:
        `matplotlib.figure.Figure` in which small images are enlarged by a whole
        factor.
    """
    height, width = queries.shape[1:3]
    scale = max(1, 64 // width)
    height, width = height * scale, width * scale
    lines = max((len(x) for row in texts or () for x in row), default=0)
    step = width + _SPACE, height + _SPACE + _LINE * lines
    count, k = images.shape[:2]
    size = (k + 1) * step[0] + _GAP, count * step[1] + _TOP
    # 0.01 pixels are added, as Matplotlib can round 413.999 down to 413.
    figure = Figure(figsize=np.add(size, 0.01) / 100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    columns = [queries, *images.swapaxes(0, 1)]
    for i, column in enumerate(columns):
        x = i * step[0] + _SPACE / 2 + _GAP * (i > 0)
        text = str(i or "query")
        axes.text(x + width / 2, _TOP / 2 + 2, text, ha="center", va="center")
        for j, image in enumerate(column):
            y = _TOP + j * step[1] + _SPACE / 2
            color, dash = _QUERY, "-"
            if i and matches is not None:
                color, dash = _MATCH if matches[j][i - 1] else _OTHER
            _show(axes, image, (x, x + width, y + height, y), color, dash)
            if lines:
                below = _fitted(texts[j][i], width + _SPACE)
                axes.text(x, y + height + 4, below, va="top", fontsize=6)
    return figure


def _fitted(lines, width):
    """Joins lines, each cut to a width in pixels."""
    most = max(4, int(width / _CHARACTER))
    short = (x if len(x) <= most else f"…{x[1 - most :]}" for x in lines)
    return "\n".join(short)


def _show(axes, image, extent, color, dash):
    """Draws an image into `(left, right, bottom, top)`, with a frame."""
    axes.imshow(image, extent=extent, interpolation="none", aspect="auto")
    left, right, bottom, top = extent
    axes.add_patch(
        Rectangle(
            (left - 2, top - 2),
            right - left + 4,
            bottom - top + 4,
            fill=False,
            edgecolor=color,
            linestyle=dash,
            linewidth=2.88,  # points: 4 pixels
        )
    )
