"""Opens arrays of the user, and the embedded data set, as a source."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Sequence

import numpy as np

from simclr_keras.data.sources import shapes
from simclr_keras.data.sources import slices
from simclr_keras.data.sources.labels import number_labels
from simclr_keras.data.sources.source import Source
from simclr_keras.images import array_to_rgb
from simclr_keras.images import array_to_uint8
from simclr_keras.images.channels import mismatch
from simclr_keras.images.formats import pixel_range as ranges


def from_arrays(
    images: np.ndarray,
    labels: Sequence | np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    pixel_range: tuple[float, float] | None = None,
    channels: int | None = None,
) -> Source:
    """Makes a source of images in memory.

    Args:
        images: array `[n, H, W, C]` or `[n, H, W]`; `uint8`, `uint16`, or
            float in [0, 1]; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4
            (RGB, alpha), or `channels`.
        labels: optional labels of any kind, see `labels.number_labels`.
        class_names: optional names of the classes; default: the distinct
            labels.
        name: name of the source in messages.
        pixel_range: pair (low, high), the values that become 0 and 255, for
            arrays of any type. Default None: the range of the type.
        channels: number of channels of the images, which are kept as they are.
            Default None: images become RGB.

    Raises:
        ValueError: shape, type or range is not allowed; labels are not classes.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    _check_shape(images, name, channels)
    if pixel_range is not None and np.isfinite(images).all():
        images = ranges.to_uint8(images, pixel_range)
    _check_values(images, name, channels)
    images = array_to_rgb(images) if not channels else array_to_uint8(images)
    if labels is not None:
        (labels,), names = number_labels([labels], class_names)
        if len(labels) != len(images):
            raise ValueError(
                f"Labels of {name} must be {len(images)}, one for each image."
                f" Received: {len(labels)}"
            )
        if class_names is None and names != _numbers(len(names)):
            _warn_numbered(names)
        class_names = names
    return Source(
        name=name,
        split="train",
        origin=f"{name}:train",
        positions=np.arange(len(images)),
        labels=labels,
        class_names=class_names,
        image_shape=images.shape[1:],
        images=images,
        pixel_range=pixel_range,
        channels=channels,
    )


def _check_shape(images, name, channels):
    shape = images.shape
    if len(shape) != 4 or not all(shape) or (not channels and shape[-1] > 4):
        raise ValueError(
            f"Images of {name} must be an array [n, height, width, channels]"
            " with 1 to 4 channels, or [n, height, width]; other numbers of"
            " channels are stated by channels=13 (--channels=13). Received:"
            f" shape {shape}, dtype {images.dtype}"
        )
    if channels not in (None, shape[-1]):
        raise mismatch(f"the array of {name}", shape[-1], channels)


def _check_values(images, name, channels):
    if images.dtype == np.uint16:
        shown = images if channels else ranges.colors(images)
        highest = int(shown.max())
        ranges.refuse_dark(highest, len(images), name)
    if images.dtype in (np.uint8, np.uint16):
        return
    floating = np.issubdtype(images.dtype, np.floating)
    if not floating or not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"Images of {name} must be uint8, uint16, or finite floats in"
            " [0, 1]; else say their black and white by pixel_range"
            f" (--pixel_range). Received: dtype {images.dtype}, values from"
            f" {images.min()} to {images.max()}"
        )


def _numbers(count):
    return tuple(map(str, range(count)))


def _warn_numbered(names):
    pairs = [f"{name!r} is {k}" for k, name in enumerate(names[:5])]
    more = ", ..." if len(names) > 5 else ""
    warnings.warn(
        f"Labels were numbered by their {len(names)} distinct values:"
        f" {', '.join(pairs)}{more}. Arrays that are opened apart agree on that"
        " only where both have all classes, or are opened as (images, labels,"
        " class_names).",
        stacklevel=5,
    )


def open_arrays(
    arrays: np.ndarray | tuple,
    split: str,
    split_order: str = "shuffled",
    pixel_range: tuple[float, float] | None = None,
    channels: int | None = None,
) -> Source:
    """Opens images, (images, labels) or (images, labels, class_names)."""
    if not (isinstance(arrays, (tuple, list)) and len(arrays) == 2):
        named = isinstance(arrays, tuple) and len(arrays) == 3
        named = named and all(isinstance(name, str) for name in arrays[2])
        if not named:
            arrays = (arrays,)
    source = from_arrays(*arrays, pixel_range=pixel_range, channels=channels)
    return slices.open_slice(source, split, ["train"], split_order)


def open_shapes(
    split: str,
    seed: int = 0,
    image_size: int | None = None,
    num_examples: int | None = None,
) -> Source:
    """Draws a split of the embedded data set or a slice of it, see `shapes`."""
    sizes = {name: num_examples or n for name, n in shapes.SPLITS.items()}
    name, rows = slices.rows_of(split, "shapes", sizes)
    images, labels = _drawn_shapes(
        len(rows),
        # Each split has its own seed, so that none of the training pictures
        # is in the test split.
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
    """Pictures and classes, cached for later stages of the same process."""
    images, labels = shapes.draw_shapes(count, seed, size, first)
    for array in (images, labels):
        array.flags.writeable = False
    return images, labels
