"""A folder of image files -> a source of photographs of any size."""

import os
import pathlib

import numpy as np

from simclr_keras.data import slices
from simclr_keras.data.source import Source
from simclr_keras.images import EXTENSIONS

SPLIT_NAMES = frozenset(
    "train training test testing val valid validation eval dev unlabeled"
    " unlabelled".split()
)


def _find_images(root):
    """Paths of all images under `root`, relative to it, sorted."""
    found, visited = [], set()
    for folder, below, names in os.walk(root, followlinks=True):
        # A link to a folder above would be followed for ever.
        if os.path.realpath(folder) in visited:
            below.clear()
            continue
        visited.add(os.path.realpath(folder))
        below[:] = [name for name in below if not name.startswith(".")]
        found += [
            pathlib.Path(folder, name).relative_to(root)
            for name in names
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    return sorted(found)


def _splits(images):
    """Split name -> its images, relative to the split's folder."""
    tops = {path.parts[0] if len(path.parts) > 1 else "" for path in images}
    if not {top.lower() for top in tops} <= SPLIT_NAMES:
        return None
    return {
        top: [path.relative_to(top) for path in images if path.parts[0] == top]
        for top in sorted(tops)
    }


def _classes(images):
    """Names of the class folders, or None where the images have no classes."""
    if any(len(path.parts) == 1 for path in images):
        return None
    names = sorted({path.parts[0] for path in images})
    return names if len(names) > 1 else None


def open_folder(path, split="train"):
    """Opens a folder that is searched for images at every depth.

    Sub-folders with names such as `train`, `test`, `val` are the splits, if
    nothing else lies beside them; any other folder is one split, `"train"`.
    Two or more sub-folders with no images beside them are the classes; they
    are numbered in alphabetical order over all splits together. Hidden files
    and folders are left out, and so is what has no image's extension.

    Args:
        path: the folder.
        split: name of a split, or a slice of it such as `"train[:90%]"`.

    Raises:
        ValueError: there is no such folder, no image in it, or no such split.
    """
    root = pathlib.Path(path).expanduser()
    if not root.is_dir():
        raise ValueError(
            "`folder:` must be followed by an existing folder. Received:"
            f" {str(path)!r}"
        )
    images = _find_images(root)
    if not images:
        raise ValueError(
            "The folder must hold images, at any depth"
            f" ({', '.join(EXTENSIONS)}). Received: {str(root)!r},"
            " which has none"
        )
    name, _, _ = slices.parse_split(split)
    splits = _splits(images)
    if splits is None:
        base, splits = root, {"train": images}
    else:
        base = root / name
    source_name = f"folder:{path}"
    slices.check_split(source_name, name, splits)
    source = _describe(source_name, name, base, splits)
    return slices.open_slice(source, split, splits)


def _describe(source_name, split, base, splits):
    images = splits[split]
    labels = class_names = None
    if _classes(images):
        named = [_classes(paths) or () for paths in splits.values()]
        class_names = tuple(sorted(set().union(*named)))
        numbers = {name: k for k, name in enumerate(class_names)}
        labels = np.array([numbers[path.parts[0]] for path in images])
    return Source(
        name=source_name,
        split=split,
        origin=f"{source_name}:{split}",
        positions=np.arange(len(images)),
        labels=labels,
        class_names=class_names,
        files=np.array([str(base / path) for path in images], object),
    )
