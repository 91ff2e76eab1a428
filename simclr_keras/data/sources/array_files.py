"""Opens files that NumPy writes, `.npy` and `.npz`."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import zipfile
import zlib

import numpy as np

from simclr_keras import paths
from simclr_keras.data.sources import arrays
from simclr_keras.data.sources import slices
from simclr_keras.data.sources.labels import number_labels
from simclr_keras.data.sources.source import Source

# Names of a split's images and labels: those that Keras and others use, and
# those without the name of a split.
_IMAGES = re.compile(r"x_(\w+)|(\w+)_images|images")
_LABELS = ("y_{}", "{}_labels")


def open_array_file(
    path: paths.PathLike,
    split: str = "train",
    split_order: str = "shuffled",
    pixel_range: tuple[float, float] | None = None,
    channels: int | None = None,
) -> Source:
    """Opens a file that contains an array of images, with or without labels.

    Args:
        path: a `.npy` file of images, see `arrays.from_arrays`, which are the
            split `"train"`; or an `.npz` file with `images` and perhaps
            `labels` of that split; or one with arrays for each split, such as
            `x_train` and `y_train`, or `train_images` and `train_labels`, for
            the split `train`.
        split: name of a split, or a slice of it such as `"train[:90%]"`.
        split_order: order from which slices are cut, see `slices.open_slice`.
        pixel_range: see `arrays.from_arrays`.
        channels: see `arrays.from_arrays`.

    Raises:
        ValueError: there is no such file or split, the file is damaged, or its
            arrays are not images.
    """
    path = paths.as_path(path, "`arrays:`")
    name, _, _ = slices.parse_split(split)
    source_name = f"arrays:{path}"
    with _arrays_of(path) as file:
        splits = _splits(file)
        if not splits:
            raise ValueError(
                "it must hold `images`, or such as `x_train` or `train_images`,"
                f" and has {', '.join(file) or 'nothing'}"
            )
        images = file[splits[name][0]] if name in splits else None
        labels = {k: file[each] for k, (_, each) in splits.items() if each}
        used = {each for pair in splits.values() for each in pair}
        others = tuple((f"array {x}", 1) for x in file if x not in used)
        class_names = None
        if labels:
            # Numbers the classes of all splits together.
            numbered, class_names = number_labels(list(labels.values()))
            labels = dict(zip(labels, numbered))
    slices.check_split(source_name, name, splits)
    source = arrays.from_arrays(
        images,
        labels.get(name),
        class_names if name in labels else None,
        source_name,
        pixel_range,
        channels,
    )
    source = dataclasses.replace(
        source, origin=f"{source_name}:{name}", left_out=others
    )
    return slices.open_slice(source, split, splits, split_order)


@contextlib.contextmanager
def _arrays_of(path):
    """Opens a file as a dict of arrays; its errors name the path."""
    if path.suffix not in (".npy", ".npz") or not path.is_file():
        raise ValueError(
            "`arrays:` must be followed by an existing .npy or .npz file."
            f" Received: {str(path)!r}"
        )
    try:
        with path.open("rb") as own:
            # Refuses pickled objects, which could run any program.
            file = np.load(own, allow_pickle=False)
            yield {"images": file} if isinstance(file, np.ndarray) else file
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise ValueError(
            "`arrays:` must be followed by a file of images. Received:"
            f" {str(path)!r}: {e}"
        ) from e


def _splits(file):
    """Dict from splits to the names of their images and labels (or None)."""
    found = {}
    for name in file:
        match = _IMAGES.fullmatch(name)
        if match:
            split = match[1] or match[2]
            labels = ["labels"]
            if split:
                labels = [each.format(split) for each in _LABELS]
            images, _ = found.setdefault(split or "train", ([], labels))
            images.append(name)
    return {
        split: (
            _single(images, split, "images"),
            _single([x for x in labels if x in file], split, "labels"),
        )
        for split, (images, labels) in found.items()
    }


def _single(names, split, what):
    """Returns the only name, or None without names; refuses several."""
    if len(names) > 1:
        raise ValueError(
            f"it must hold the {what} of {split} under one name, and has"
            f" {' and '.join(names)}"
        )
    return names[0] if names else None
