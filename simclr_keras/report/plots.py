"""Draws figures with Matplotlib and writes them as PNG, SVG and PDF.

Figures are made without `pyplot`, so they need no display and do not depend on
the caller's settings. The same input gives the same bytes.
"""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.offsetbox import OffsetImage
from matplotlib.ticker import MaxNLocator

from simclr_keras import disk

if TYPE_CHECKING:
    from simclr_keras import paths


FORMATS = ("png", "svg", "pdf")

# Okabe and Ito's palette, distinguishable with any colour vision.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
# Petroff's ten colours (arXiv 2107.02270), likewise.
_TEN_COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
_DASHES = ("-", "--", ":", "-.")
_QUERY = "#969696"
_GUESS = "#666666"
_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "figure.dpi": 100,
    "grid.color": "#dddddd",
    "image.composite_image": False,  # each image stays one in SVG and PDF
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "path",  # looks the same if a font is missing
    "svg.hashsalt": "simclr_keras",
    "text.parse_math": False,  # names of classes may contain dollar signs
}
styled = matplotlib.style.context(["default", _STYLE])
_PICTURE = 34  # points, side of an image in a map
_MAX_PIXELS = 60_000  # Agg draws less than 2**16 in each direction
_MAX_LEGEND = 30  # names
_MAX_NAME = 28  # characters


@styled
def curves(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_name: str,
    *,
    wide: bool = False,
    guess: float | None = None,
) -> Figure:
    """Draws lines over one axis.

    Args:
        title: text above them.
        series: dict of name -> list of `(x, y)`. A name without points is not
            drawn, but keeps its colour in `palette`.
        x_name: text at the axis.
        wide: whether the legend is beside the axes, in a wider figure. Inside
            the axes there is room for two or three names.
        guess: value that random guessing gives, drawn as a dotted line.
            Defaults to None: not known.

    Returns:
        `matplotlib.figure.Figure`.
    """
    names = {name: textwrap.fill(name, _MAX_NAME) for name in series}
    height = 0.6 + 0.2 * sum(1 + x.count("\n") for x in names.values())
    size = (7.2, max(3.2, height)) if wide else (4.8, 2.9)
    figure = Figure(figsize=size, dpi=200, layout="constrained")
    axes = figure.subplots()
    styles = zip(palette(len(series)), itertools.cycle(_DASHES))
    for (name, points), (color, dash) in zip(series.items(), styles):
        if not points:
            continue
        axes.plot(
            *zip(*points),
            color=color,
            linestyle=dash,
            marker="o" if len(points) <= 30 else None,
            markersize=3.5,
            # Matplotlib leaves out names that begin with an underscore.
            label=re.sub("^_", " _", names[name]),
        )
    if guess is not None:
        _draw_guess(axes, guess)
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x_name)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if wide:
        figure.legend(loc="outside right upper", handlelength=3)
    elif len(series) > 1:
        axes.legend()
    return figure


def _draw_guess(axes, guess):
    """Draws a horizontal line, with its name above the right end."""
    axes.axhline(guess, color=_GUESS, linestyle=(0, (1, 2)), linewidth=1.2)
    axes.annotate(
        "random guessing",
        (1, guess),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        color=_GUESS,
        fontsize=8,
        horizontalalignment="right",
    )


@styled
def plane(
    points: np.ndarray,
    title: str,
    labels: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    pictures: tuple[np.ndarray, np.ndarray] | None = None,
) -> Figure:
    """Draws points of a plane, coloured by label, with a legend.

    Args:
        points: float `[n, 2]`.
        title: text above them.
        labels: integers `[n]`. Defaults to None: all of one colour.
        names: names of the labels; shown if at most 30 labels occur.
        pictures: pair of integers `[m]`, indices of points, and uint8 images
            `[m, S, S, 3]`, which are drawn at these points. Defaults to None.

    Returns:
        `matplotlib.figure.Figure`.
    """
    classes = [] if labels is None else np.unique(labels).tolist()
    legend = names is not None and 0 < len(classes) <= _MAX_LEGEND
    figure = Figure(figsize=(9 + 2.2 * legend, 9), layout="constrained")
    axes = figure.subplots()
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    axes.spines[:].set_visible(False)  # the directions mean nothing
    axes.set_title(title, fontsize=11)
    colors = dict(zip(classes, palette(len(classes))))
    axes.scatter(
        *np.transpose(points),
        s=9 if len(points) > 1000 else 20,
        c=[colors[int(y)] for y in labels] if classes else _QUERY,
        linewidths=0,
    )
    for place, image in zip(*(pictures or ((), ()))):
        small = OffsetImage(image, zoom=_PICTURE / image.shape[1])
        axes.add_artist(
            AnnotationBbox(small, points[place], frameon=False, pad=0)
        )
    if legend:
        marks = [
            Line2D([], [], color=colors[y], marker="o", linestyle="none")
            for y in classes
        ]
        texts = [shorten(names[y]) for y in classes]
        figure.legend(marks, texts, loc="outside right upper")
    return figure


def palette(count: int) -> list[str]:
    """Returns `count` different colours, such as `"#0072b2"`.

    Up to ten are distinguishable with any colour vision.
    """
    for colors in (COLORS, _TEN_COLORS):
        if count <= len(colors):
            return list(colors[:count])
    if count <= 20:
        colors = matplotlib.colormaps["tab20"].colors[:count]
        return [matplotlib.colors.to_hex(color) for color in colors]
    # Hues in order, alternately bright and dark.
    hues = np.arange(count) / count
    values = np.where(np.arange(count) % 2, 0.65, 0.9)
    hsv = np.stack([hues, np.full(count, 0.85), values], axis=-1)
    colors = matplotlib.colors.hsv_to_rgb(hsv)
    return [matplotlib.colors.to_hex(color) for color in colors]


def shorten(name: str) -> str:
    """A name in one line, cut to 28 characters."""
    name = " ".join(str(name).split())
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"


@styled
def render(figure: Figure, kind: str, title: str, description: str) -> bytes:
    """Returns a figure as the bytes of a file.

    Args:
        figure: `matplotlib.figure.Figure`.
        kind: one of `FORMATS`.
        title: written into the file.
        description: text alternative of the figure; written into the file too.
    """
    metadata = {
        "png": {"Title": title, "Description": description, "Software": None},
        "svg": {"Title": title, "Description": description, "Date": None},
        "pdf": {"Title": title, "Subject": description, "CreationDate": None},
    }[kind]
    buffer = io.BytesIO()
    dpi = min(figure.dpi, _MAX_PIXELS / max(figure.get_size_inches()))
    figure.savefig(buffer, format=kind, metadata=metadata, dpi=dpi)
    return buffer.getvalue()


@styled
def _lay_out(figure):
    """Computes the layout once for all formats, as it is slow."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def save(
    figure: Figure, path: paths.AnyPath, title: str, description: str
) -> paths.AnyPath:
    """Writes a figure in all `FORMATS`.

    Args:
        figure: `matplotlib.figure.Figure`.
        path: path object of the files, without a suffix.
        title: see `render`.
        description: see `render`.

    Returns:
        Path object of the PNG file.
    """
    _lay_out(figure)
    for kind in FORMATS:
        file = path.with_name(f"{path.name}.{kind}")
        content = render(figure, kind, title, description)
        with disk.naming(file):
            file.write_bytes(content)
    return path.with_name(f"{path.name}.png")
