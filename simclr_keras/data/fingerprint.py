"""Summarises which images and labels a source has, to recognise them later."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from simclr_keras import paths
from simclr_keras.data.sources.source import Source
from simclr_keras.data.subsets import spread_rows

_FOLDER = "folder:"
# Images of which the size of the file, or the pixels, are compared.
_SAMPLE = 64


def fingerprint(source: Source) -> dict[str, Any]:
    """Number of images, and a digest of their order, names and labels.

    Two sources with the same digest have, as far as is looked at, the same
    images: the same paths within their folder, numbers in a split, labels and
    names of classes, and up to 64 files of the same sizes, or arrays of the
    same pixels. No file is read, and of a stream no label.

    Args:
        source: `Source`.

    Returns:
        Dict for JSON: `images`, an integer, and `digest`, a text.
    """
    # As Python's strings: the text of NumPy's differs between its versions.
    parts = [*map(str, source.class_names or ()), *_names_within(source)]
    for array in (source.positions, source.labels):
        if array is not None:
            parts.append(np.ascontiguousarray(array).tobytes())
    rows = spread_rows(source.num_examples, _SAMPLE)
    parts += [_part(source, row) for row in rows]
    return {"images": source.num_examples, "digest": digest(parts)}


def digest(parts: Iterable[Any]) -> str:
    """Hexadecimal digest of bytes, and of the `repr` of what is not bytes."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        part = part if isinstance(part, bytes) else repr(part).encode()
        made.update(len(part).to_bytes(8, "little"))
        made.update(part)
    return made.hexdigest()


def _names_within(source):
    """Paths of the images, or of the shards, within the folder of each."""
    if source.shards is not None:
        return [os.path.basename(str(path)) for path in source.shards.files]
    if source.files is None:
        return []
    root = ""
    if source.name.startswith(_FOLDER):
        folder = paths.as_path(source.name[len(_FOLDER) :])
        root = f"{folder}/"
    skipped = len(root) if str(source.files[0]).startswith(root) else 0
    return [str(path)[skipped:] for path in source.files]


def _part(source, row):
    """What tells an image from others: pixels, the file's size, or nothing."""
    # Of the user's arrays only: other pixels depend on what decoded them.
    if source.images is not None and source.name.startswith("arrays"):
        return np.ascontiguousarray(source.images[row]).tobytes()
    if source.files is not None and "://" not in str(source.files[row]):
        try:
            return os.path.getsize(source.files[row])
        except OSError:  # said where it is decoded
            return None
    return None
