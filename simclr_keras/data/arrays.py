"""Arrays of the user and the embedded data set -> a source in memory."""

import dataclasses
import functools

import numpy as np

from simclr_keras.data import shapes
from simclr_keras.data import slices
from simclr_keras.data.source import Source
from simclr_keras.images import to_rgb


def from_arrays(images, labels=None, class_names=None, name="arrays"):
    """Makes a source of images in memory.

    Args:
        images: array `[n, H, W, C]` or `[n, H, W]`; `uint8`, `uint16`, or
            float in [0, 1]; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4
            (RGB, alpha).
        labels: optional integers `[n]`, from 0.
        class_names: optional names of the classes; default: their numbers.
        name: name of the source in messages.

    Raises:
        ValueError: shape, type or range is not allowed.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] > 4 or not all(images.shape):
        raise ValueError(
            "Images must be an array [n, height, width, channels] with 1 to 4"
            " channels, or [n, height, width]. Received: shape"
            f" {np.shape(images)}, dtype {images.dtype}"
        )
    _check_values(images)
    images = to_rgb(images)
    if labels is not None:
        labels = _check_labels(labels, len(images))
        count = int(labels.max()) + 1
        class_names = tuple(class_names or map(str, range(count)))
        if len(class_names) < count:
            raise ValueError(
                f"`class_names` must name all {count} classes. Received:"
                f" {class_names!r}"
            )
    return Source(
        name=name,
        split="train",
        origin=f"{name}:train",
        positions=np.arange(len(images)),
        labels=labels,
        class_names=class_names,
        image_shape=images.shape[1:],
        images=images,
    )


def _check_values(images):
    if images.dtype in (np.uint8, np.uint16):
        return
    floating = np.issubdtype(images.dtype, np.floating)
    if not floating or not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            "Images must be uint8, uint16, or floats in [0, 1]. Received:"
            f" dtype {images.dtype}, values from {images.min()} to"
            f" {images.max()}"
        )


def _check_labels(labels, count):
    labels = np.asarray(labels)
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if (
        labels.shape != (count,)
        or not np.issubdtype(labels.dtype, np.integer)
        or labels.min() < 0
    ):
        raise ValueError(
            f"Labels must be {count} integers from 0, one per image. Received:"
            f" shape {labels.shape}, dtype {labels.dtype}"
        )
    return labels.astype(np.int64)


def open_arrays(arrays, split):
    """Opens an array of images, or a pair (images, labels)."""
    pair = isinstance(arrays, (tuple, list)) and len(arrays) == 2
    source = from_arrays(*arrays) if pair else from_arrays(arrays)
    return slices.open_slice(source, split, ["train"])


def open_shapes(split, seed=0, image_size=None, num_examples=None):
    """Draws a split of the embedded data set or a slice of it, see `shapes`."""
    sizes = {name: num_examples or n for name, n in shapes.SPLITS.items()}
    name, rows = slices.rows_of(split, "shapes", sizes)
    images, labels = _drawn_shapes(
        len(rows),
        # No picture of the training split comes back in the test split.
        (seed, list(shapes.SPLITS).index(name)),
        image_size or shapes.DEFAULT_SIZE,
        int(rows[0]),
    )
    source = from_arrays(images, labels, shapes.CLASS_NAMES, name="shapes")
    return dataclasses.replace(
        source, split=split, origin=f"shapes:{name}", positions=rows
    )


@functools.lru_cache(maxsize=2)
def _drawn_shapes(count, seed, size, first):
    """Pictures and classes, kept for the next stage of one process."""
    images, labels = shapes.draw_shapes(count, seed, size, first)
    for array in (images, labels):
        array.flags.writeable = False
    return images, labels
