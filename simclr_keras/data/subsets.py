"""Takes parts of a source: few labels of each class, or held-out rows."""

from __future__ import annotations

import numbers

import numpy as np

from simclr_keras import randomness
from simclr_keras.data.sources.source import Source
from simclr_keras.data.sources.source import read_labels


def spread_rows(count: int, most: int) -> np.ndarray:
    """Row numbers spread evenly from 0 to `count` - 1, `int64`, at most `most`.

    To examine some images of a source.
    """
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))


def label_subset(source: Source, fraction: float, seed: int = 0) -> Source:
    """Returns a part of a labelled source, class-balanced if it has classes.

    Every class gives the same number of examples: `fraction * num_examples /
    num_classes`, rounded (half up), but at least one; a class that has fewer
    gives all it has. With one seed, the subset of a smaller fraction is part
    of that of a larger one. Works on streams too, with one pass over the
    labels.

    Several labels at once and numbers are not balanced: the part is drawn at
    random, `fraction * num_examples` of it, rounded (half up), at least one.

    Args:
        source: `Source` with labels.
        fraction: part of the examples, in (0, 1]; 1 is the whole source.
        seed: seed of the random choice. Default 0.

    Returns:
        `Source`, in the order of `source`.

    Raises:
        ValueError: the fraction is out of range or the labels are missing.

    Reference:
        Chen et al. 2020 (arXiv 2002.05709), section 6, "we sample 1% or 10%
        of the labeled ... datasets in a class-balanced way".
    """
    if not isinstance(fraction, numbers.Real) or not 0 < fraction <= 1:
        raise ValueError(
            "`fraction` must be a number in (0, 1]. Received:"
            f" fraction={fraction!r}"
        )
    labels = read_labels(source)
    if fraction == 1:
        return source
    if not source.has_classes:
        count = max(1, int(fraction * len(labels) + 0.5))
        shuffled = randomness.shuffled(len(labels), seed, 0, randomness.SUBSET)
        return source.take(np.sort(shuffled[:count]))
    classes = np.unique(labels)
    each = max(1, int(fraction * len(labels) / len(classes) + 0.5))
    chosen = []
    for label in classes:
        rows = np.flatnonzero(labels == label)
        shuffled = randomness.shuffled(
            len(rows), seed, label, randomness.SUBSET
        )
        chosen.append(rows[shuffled[:each]])
    return source.take(np.sort(np.concatenate(chosen)))


def hold_out(
    source: Source, size: int | float, seed: int = 0
) -> tuple[Source, Source]:
    """Divides a source at random, regardless of the labels.

    Args:
        source: `Source`.
        size: how many examples to hold out: their number (integer), or their
            fraction (float in (0, 1), rounded).
        seed: seed of the random choice. Default 0.

    Returns:
        Two sources, in the order of `source`: the rest, and the held-out part.

    Raises:
        ValueError: one of the two would be empty.
    """
    count = source.num_examples
    if isinstance(size, numbers.Integral):
        held = size
    else:
        held = round(size * count) if np.isfinite(size) else 0
    if not 0 < held < count:
        raise ValueError(
            f"`size` must leave both parts at least one of {count} examples."
            f" Received: size={size!r}"
        )
    held_out, rest = _divided(count, held, seed)
    return source.take(rest), source.take(held_out)


def keep_some(source: Source, most: int, seed: int = 0) -> Source:
    """Returns a source, or a random part of `most` examples if it has more.

    The part is the rest that `hold_out` returns, but nothing else is read.

    Args:
        source: `Source`.
        most: number of examples, at least 1.
        seed: seed of the random choice. Default 0.
    """
    count = source.num_examples
    if count <= most:
        return source
    _, rest = _divided(count, count - most, seed)
    return source.take(rest)


def _divided(count, held, seed):
    """Rows that are held out, and the others, each in order."""
    shuffled = randomness.shuffled(count, seed, 0, randomness.HOLD_OUT)
    return np.sort(shuffled[:held]), np.sort(shuffled[held:])
