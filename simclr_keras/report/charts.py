"""Writes charts as files, and prepares them for the templates of pages."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from collections.abc import Sequence

from matplotlib.figure import Figure

from simclr_keras import paths
from simclr_keras.report import plots


def write(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    folder: paths.AnyPath,
    *,
    wide: bool = False,
    guess: float | None = None,
) -> dict[str, str] | None:
    """Draws curves over steps and writes the files.

    Args:
        title: title of the chart; the files are named after it.
        series: dict of name -> list of `(step, value)`, perhaps empty.
        folder: path object of the directory for the files, made if missing.
        wide: see `plots.curves`.
        guess: see `plots.curves`.

    Returns:
        Dict for the macro `charts` of the templates; None if all lists are
        empty. Files of an earlier chart are then removed.
    """
    lines = [
        f"{name} from {points[0][1]:.4g} at step {points[0][0]:.0f} to"
        f" {points[-1][1]:.4g} at step {points[-1][0]:.0f}"
        for name, points in series.items()
        if points
    ]
    if not lines:
        _remove(folder, title)
        return None
    if guess is not None:
        lines.append(f"random guessing gives {guess:.4g}")
    description = f"{title}: {'; '.join(lines)}."
    figure = plots.curves(title, series, "step", wide=wide, guess=guess)
    return save(figure, folder, title, description)


def save(
    figure: Figure, folder: paths.AnyPath, title: str, description: str
) -> dict[str, str]:
    """Writes a figure's files, named after its title.

    Args:
        figure: `matplotlib.figure.Figure`.
        folder: path object of the directory for the files, made if missing.
        title: see `plots.render`.
        description: see `plots.render`.

    Returns:
        Dict for the templates, with the SVG in base64 and the description.
    """
    folder.mkdir(exist_ok=True)
    stem = _stem(title)
    plots.save(figure, folder / stem, title, description)
    svg = (folder / f"{stem}.svg").read_bytes()
    return {"alt": description, "data": base64.b64encode(svg).decode()}


def _stem(title):
    return re.sub(r"\W", "_", title.lower())


def _remove(folder, title):
    """Removes the files of a chart that an earlier page had."""
    for kind in plots.FORMATS:
        (folder / f"{_stem(title)}.{kind}").unlink(missing_ok=True)
