"""Arranges images in a grid; writes it as PNG and to TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import data
from simclr_keras import disk
from simclr_keras import paths
from simclr_keras.images.formats.pixel_range import unit_to_uint8
from simclr_keras.models import crops
from simclr_keras.report import bands
from simclr_keras.report import view_header

_MAX_CELL = 160  # pixels, largest side of an image in views.png


def view_pairs(
    two_views: keras.layers.Layer,
    batch: Any,
    pairs: int = 32,
    columns: int = 4,
    show_channels: Sequence[int] | None = None,
) -> np.ndarray:
    """Arranges the original and the two views of some images of a batch.

    A header says what is shown and names the settings of the views. Images
    larger than 160 pixels are shrunk to 160, so that the picture stays below
    2,700 pixels a side.

    Args:
        two_views: layer with the interface of `TwoViews`.
        batch: an element of the data set: images, pairs of ready crops, a tuple
            of one of these and labels, or a dict with `images`.
        pairs: number of images to show. Defaults to 32.
        columns: number of images in a row. Defaults to 4.
        show_channels: see `bands.bands_of`. Defaults to None.

    Returns:
        uint8 array `[H, W, 3]`. It shows ready crops in place of the original.
    """
    if isinstance(batch, dict):
        batch = batch["images"]
    images = batch[0] if isinstance(batch, (tuple, list)) else batch
    shown = _shown(two_views, images[:pairs])
    # The stretch of the images, so that their views can be compared with them.
    to_rgb = bands.bands_of(next(iter(shown.values())), show_channels)
    shown = {name: to_rgb(each) for name, each in shown.items()}
    size = shown["view 1"].shape[1:3]
    cells = np.stack([_scaled(each) for each in shown.values()], axis=1)
    cells = np.pad(cells, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])
    grid, lefts = _side_by_side(cells, columns)
    about = view_header.describe(two_views, len(cells), size)
    about += filter(None, [to_rgb.text()])
    names = dict(zip(lefts, [*shown] * columns))
    return np.concatenate([view_header.draw(about, names, grid.shape[1]), grid])


def _shown(two_views, images):
    """Dict of column name -> images `[n, H, W, C]` in [0, 1]."""
    a, b = two_views(images, tf.constant(0, tf.int64))
    views = {"view 1": a, "view 2": b}
    if images.shape.rank == 4:
        whole = images / 255 if images.dtype == tf.uint8 else images
        whole = tf.image.resize(tf.cast(whole, tf.float32), a.shape[1:3])
        return {"image": whole, **views}
    crops = tf.cast(images, tf.float32) / 255
    return {"crop 1": crops[:, 0], "crop 2": crops[:, 1], **views}


def _scaled(images):
    """Images in the size of the picture; small ones are doubled in size."""
    height, width = images.shape[1:3]
    if width < 64:
        images = np.asarray(images, np.float32)
        return images.repeat(2, axis=1).repeat(2, axis=2)
    scale = min(1.0, _MAX_CELL / max(height, width))
    if scale < 1:
        size = [round(height * scale), round(width * scale)]
        images = tf.image.resize(images, size, antialias=True)
    return np.asarray(images, np.float32)


def _side_by_side(cells, columns):
    """Arranges `[n, m, H, W, 3]`, with `columns` of the n in a row.

    Returns:
        Pair of a uint8 array `[H, W, 3]` and of the left edges of the images in
        a row, in pixels.
    """
    count, shown, _, width, _ = cells.shape
    gap = width // 8
    rows = []
    for first in range(0, count, columns):
        row = [
            np.pad(np.concatenate(cell, axis=1), [(0, 0), (0, gap), (0, 0)])
            for cell in cells[first : first + columns]
        ]
        row += [np.zeros_like(row[0])] * (columns - len(row))
        rows.append(np.concatenate(row, axis=1))
    lefts = [
        column * (shown * width + gap) + number * width
        for column in range(min(columns, count))
        for number in range(shown)
    ]
    return unit_to_uint8(np.concatenate(rows, axis=0)), lefts


def write_view_pairs(path, two_views, dataset, tensorboard, show_channels=None):
    """Writes `view_pairs` of the first batch as PNG, and to TensorBoard.

    Args:
        path: path object of the picture.
        two_views: see `view_pairs`.
        dataset: `data.Batches`; reset to the beginning of epoch 0.
        tensorboard: path object of the directory of event files.
        show_channels: see `bands.bands_of`. Defaults to None.
    """
    # Crops are made as in `fit`, so that the picture shows its pipeline.
    dataset = data.with_crops(dataset, crops.stated_crops(two_views))
    batch = next(iter(dataset))
    grid = view_pairs(two_views, batch, show_channels=show_channels)
    dataset.seek(0)
    write_png(path, grid)
    write_to_tensorboard(tensorboard, "views", grid)


def write_to_tensorboard(
    directory: paths.AnyPath, name: str, image: np.ndarray
) -> None:
    """Writes a uint8 image `[H, W, 3]` to an event file, as of step 0."""
    with disk.naming(directory):
        writer = tf.summary.create_file_writer(str(directory))
        with writer.as_default(step=0):
            tf.summary.image(name, image[None])
        writer.close()


def sprite(images: np.ndarray) -> np.ndarray:
    """Arranges small images row by row, as TensorBoard's projector reads them.

    Args:
        images: uint8 `[n, S, S, 3]`.

    Returns:
        uint8 `[side * S, side * S, 3]`, where side is the square root of n,
        rounded up; cells without an image are black.
    """
    count, size = images.shape[:2]
    side = int(np.ceil(np.sqrt(count)))
    cells = np.zeros((side * side, size, size, 3), np.uint8)
    cells[:count] = images
    cells = cells.reshape(side, side, size, size, 3)
    return cells.transpose(0, 2, 1, 3, 4).reshape(side * size, side * size, 3)


def write_png(path: paths.AnyPath, image: np.ndarray) -> None:
    """Writes a uint8 image `[H, W, 3]` as PNG."""
    with disk.naming(path):
        path.write_bytes(tf.io.encode_png(image).numpy())
