"""Finds images that are both trained on and evaluated on."""

from __future__ import annotations

import functools
import os

import numpy as np

from simclr_keras.data.sources.source import Source


def warn_of_overlap(source: Source, held_out: Source | None) -> None:
    """Prints how many images are in both of two sources, if any are.

    Slices of TensorFlow Datasets are not compared.

    Args:
        source: `Source` that is trained on.
        held_out: `Source` that is evaluated on, or None.
    """
    number = 0 if held_out is None else num_shared(source, held_out)
    if number:
        print(
            f"Caution: {number} of the {held_out.num_examples} images of"
            f" {held_out.name} {held_out.split} are trained on, too"
            f" ({source.split}); what is measured on them is no accuracy on"
            " new images."
        )


def num_shared(source: Source, held_out: Source) -> int:
    """Number of images of `held_out` that are in `source`, too.

    Files are compared by path, after links between folders are resolved.
    """
    if source.origin == held_out.origin:
        _, ours, theirs = np.intersect1d(
            source.positions, held_out.positions, return_indices=True
        )
        if source.images is None or held_out.images is None:
            return len(ours)
        # All arrays that are given in Python have the same origin.
        if source.image_shape != held_out.image_shape:
            return 0
        same = source.images[ours] == held_out.images[theirs]
        return int(same.all(axis=(1, 2, 3)).sum())
    if source.files is None or held_out.files is None:
        return 0
    real = functools.lru_cache(maxsize=None)(os.path.realpath)
    folders = [
        {real(os.path.dirname(path)) for path in each.files}
        for each in (source, held_out)
    ]
    if folders[0].isdisjoint(folders[1]):
        return 0
    places = [
        {(real(os.path.dirname(p)), os.path.basename(p)) for p in each.files}
        for each in (source, held_out)
    ]
    return len(places[0] & places[1])
