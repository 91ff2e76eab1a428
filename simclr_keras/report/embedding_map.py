"""Draws embeddings as a map: points of a plane that keep their neighbours."""

from __future__ import annotations

import csv
from collections.abc import Sequence

import numpy as np

from simclr_keras import evaluation
from simclr_keras import paths
from simclr_keras.report import plots

_METHODS = {"tsne": "t-SNE", "umap": "UMAP"}


def draw(
    folder: paths.AnyPath,
    bank: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[paths.AnyPath, str]:
    """Writes `map.png`, `map.svg`, `map.pdf` and the points as `map.csv`.

    Args:
        folder: path object of their directory.
        bank: float `[n, C]`, the embeddings, perhaps mapped into memory.
        rows: integers `[m]`, rows of the bank that are drawn.
        labels: integers `[n]`. Defaults to None.
        names: names of the labels. Defaults to None.
        seed: of what is random in the map. Defaults to 0.

    Returns:
        Path object of the PNG, and the name of the method of the map.
    """
    points, method = evaluation.to_plane(bank[rows], seed=seed)
    method = _METHODS[method]
    title = f"{len(rows):,} images by {method}"
    description = (
        f"Map of {len(rows)} images by {method} of their embeddings:"
        " similar images lie close to each other"
    )
    if labels is not None:
        labels = labels[rows]
        description += ", coloured by class"
    figure = plots.plane(points, title, labels, names)
    picture = plots.save(figure, folder / "map", title, f"{description}.")
    with (folder / "map.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "x", "y"])
        writer.writerows(zip(rows, *points.T))
    return picture, method
