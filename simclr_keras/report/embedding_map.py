"""Draws embeddings as a map, on which similar images lie close together."""

from __future__ import annotations

import csv
from collections.abc import Callable
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
    read_images: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[paths.AnyPath, str]:
    """Writes `map.png`, `map.svg`, `map.pdf` and the points as `map.csv`.

    Args:
        folder: path object of the directory for these files.
        bank: float `[n, C]`, the embeddings, perhaps mapped into memory.
        rows: integers `[m]`, rows of the bank to draw.
        labels: integers `[n]`. Defaults to None.
        names: names of the labels. Defaults to None.
        seed: seed of the random numbers in the method. Defaults to 0.
        read_images: function of an array of rows that returns their images,
            uint8 `[*rows.shape, S, S, 3]`. Some of them are drawn on the map if
            there are no labels. Defaults to None: only points are drawn.

    Returns:
        Path object of the PNG, and the name of the method, such as "UMAP".
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
    pictures = None
    if labels is None and read_images is not None:
        places = spread(points)
        pictures = places, read_images(rows[places])
        description += f", {len(places)} of them shown in their places"
    figure = plots.plane(points, title, labels, names, pictures)
    picture = plots.save(figure, folder / "map", title, f"{description}.")
    with (folder / "map.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "x", "y"])
        writer.writerows(zip(rows, *points.T))
    return picture, method


def spread(points: np.ndarray, cells: int = 14) -> np.ndarray:
    """Chooses points whose images overlap little: one in each cell of a grid.

    Args:
        points: float `[n, 2]`.
        cells: number of cells in each direction. Defaults to 14.

    Returns:
        Integers: index of the point nearest to the centre of each cell that has
        points.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.maximum((high - low).max(), 1e-12) * cells
    cell = np.minimum(scaled.astype(np.int64), cells - 1)
    distance = np.linalg.norm(scaled - cell - 0.5, axis=1)
    order = np.lexsort((distance, cell[:, 1], cell[:, 0]))
    _, first = np.unique(cell[order], axis=0, return_index=True)
    return order[first]
