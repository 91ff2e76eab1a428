"""Draws query images and, beside each, the images most similar to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from simclr_keras import evaluation
from simclr_keras import paths
from simclr_keras.images import CenterCrop
from simclr_keras.images import decode
from simclr_keras.images import problem
from simclr_keras.images.formats.pixel_range import unit_to_uint8
from simclr_keras.report import neighbor_plot
from simclr_keras.report import plots


def draw_of_rows(
    folder: paths.AnyPath,
    bank: np.ndarray,
    queries: np.ndarray,
    k: int,
    read_images: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> tuple[paths.AnyPath, float | None]:
    """Draws the neighbours of some of the embedded images.

    Args:
        folder: path object of the directory for `neighbors.png`, `.svg` and
            `.pdf`.
        bank: float `[n, C]`, the embeddings, perhaps mapped into memory.
        queries: int64 `[q]`, rows of the bank.
        k: number of neighbours, less than n; the query is none of them.
        read_images: function of an array of rows that returns their images,
            uint8 `[*rows.shape, S, S, 3]`.
        labels: integers `[n]`. Defaults to None.
        names: strings `[n]`, such as paths of files; the part after the last
            slash is shown below the image. Defaults to None.

    Returns:
        Path object of the PNG, and the fraction of neighbours that have the
        class of their query, None without labels.
    """
    # One more than k, as a query finds itself, which is left out.
    found, similar = evaluation.nearest(np.asarray(bank[queries]), bank, k + 1)
    rows, similar = _without(queries, found, similar, k)
    matches, share = None, None
    if labels is not None:
        matches = labels[rows] == labels[queries][:, np.newaxis]
        share = float(np.mean(matches))
    images = read_images(np.concatenate([queries[:, np.newaxis], rows], axis=1))
    texts = [
        [_lines(names, query), *_all_lines(names, *each)]
        for query, *each in zip(queries, rows, similar)
    ]
    drawn = images[:, 0], images[:, 1:], matches, share, texts
    return _draw(folder, *drawn), share


def _without(queries, found, similar, k):
    """The k nearest rows and their similarities, without the query itself."""
    kept = found != np.reshape(queries, (-1, 1))
    return tuple(
        np.stack([values[own][:k] for values, own in zip(each, kept)])
        for each in (found, similar)
    )


def _all_lines(names, rows, similarities):
    return [
        _lines(names, row, f"{similarity:.3f}")
        for row, similarity in zip(rows, similarities)
    ]


def _lines(names, row, *first):
    """Lines of text below an image."""
    if names is None:
        return [*first]
    return [*first, str(names[row]).rsplit("/", 1)[-1]]


def query_image(
    path: str,
    max_pixels: int,
    pixel_range: tuple[float, float] | None = None,
    name: str = "path",
    channels: int | None = None,
) -> tf.Tensor:
    """Decodes an image file like the images of a data set, for `draw_of_image`.

    Args:
        path: text, path of the file, local or with a scheme.
        max_pixels: height times width of the largest image that is decoded.
        pixel_range: see `data.open_source`. Defaults to None.
        name: name of the path in an error. Defaults to "path".
        channels: see `data.open_source`. Defaults to None.

    Returns:
        uint8 tensor `[1, H, W, C]`.

    Raises:
        ValueError: it cannot be decoded.
    """
    encoded = tf.io.read_file(path)
    how = {"pixel_range": pixel_range, "channels": channels}
    try:
        image = decode(encoded, max_pixels, **how)
        return image[tf.newaxis]
    except tf.errors.OpError as error:
        reason = problem(encoded.numpy(), max_pixels, **how)
        raise ValueError(
            f"{name} must be an image that can be decoded. Received:"
            f" {name}={path}: {reason}"
        ) from error


def row_of_file(files: Sequence[str] | None, path: str) -> int | None:
    """Row of an image file among those of a data set, or None.

    Args:
        files: paths of the data set's images, in its order; None: no files.
        path: path of the image file, in any spelling.
    """
    name = path.rsplit("/", 1)[-1]
    for row, file in enumerate(() if files is None else files):
        if file == path:
            return row
        if file.rsplit("/", 1)[-1] != name or "://" in path:
            continue
        if os.path.exists(file) and os.path.samefile(file, path):
            return row
    return None


def draw_of_image(
    folder: paths.AnyPath,
    bank: np.ndarray,
    features: np.ndarray | tf.Tensor,
    image: np.ndarray | tf.Tensor,
    k: int,
    read_images: Callable[[np.ndarray], np.ndarray],
    names: Sequence[str] | None = None,
    own_row: int | None = None,
    to_rgb: Callable[[np.ndarray], np.ndarray] | None = None,
) -> paths.AnyPath:
    """Draws the neighbours of an image, which may be none of the embedded ones.

    Args:
        folder: see `draw_of_rows`.
        bank: see `draw_of_rows`.
        features: float `[1, C]`, features of the image.
        image: float or uint8 `[1, H, W, C]`.
        k: number of neighbours, at most n, or n - 1 with `own_row`.
        read_images: see `draw_of_rows`.
        names: see `draw_of_rows`.
        own_row: row of the image itself in the bank, which is left out.
            Defaults to None: the bank does not contain it, or it is unknown.
        to_rgb: converts the image to RGB, such as `bands.Bands`. Defaults to
            None: it is RGB.

    Returns:
        Path object of the PNG.
    """
    own = -1 if own_row is None else own_row
    rows, similar = evaluation.nearest(features, bank, k + (own >= 0))
    rows, similar = _without([own], rows, similar, k)
    images = read_images(rows)
    query = unit_to_uint8(CenterCrop(images.shape[2])(image).numpy())
    query = query if to_rgb is None else to_rgb(query)
    own_lines = [] if own_row is None else _lines(names, own)
    texts = [[own_lines, *_all_lines(names, rows[0], similar[0])]]
    return _draw(folder, query, images, None, None, texts)


def _draw(folder, queries, images, matches, share, texts):
    description = (
        f"{len(queries)} images in a column, each with the {images.shape[1]}"
        " most similar ones beside it, and below these their cosine"
        " similarity."
    )
    if share is not None:
        description += (
            f" {share:.1%} of the neighbours are of the class of their query,"
            " in a green frame; the others are in a dashed red one."
        )
    figure = neighbor_plot.neighbors(queries, images, matches, texts)
    path = folder / "neighbors"
    return plots.save(figure, path, "Nearest neighbours", description)
