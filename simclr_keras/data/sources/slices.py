"""Finds the rows of a split that a slice such as `train[:90%]` selects."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from collections.abc import Mapping

import numpy as np

from simclr_keras import randomness
from simclr_keras.choices import SPLIT_ORDERS as ORDERS
from simclr_keras.data.sources.source import Source

# A constant, not the --seed of a run, so that slices of two runs can be
# complements.
_SEED = 0

_SPLIT = re.compile(
    r"(?P<name>[\w.-]+)"
    r"(?:\[(?P<low>-?\d+%?)?:(?P<high>-?\d+%?)?\])?"
)


def parse_split(split: str) -> tuple[str, str | None, str | None]:
    """Splits `"train[10%:5000]"` into `("train", "10%", "5000")`.

    Raises:
        ValueError: the text is not a split with at most one slice.
    """
    match = _SPLIT.fullmatch(split.strip())
    if match is None:
        raise ValueError(
            "`split` must be a name with at most one slice in numbers or per"
            " cent, such as 'train', 'train[:90%]' or 'train[5000:]'."
            f" Received: split={split!r}"
        )
    return match["name"], match["low"], match["high"]


def is_name(text: str) -> bool:
    """Whether a text is the name of a split, without a slice."""
    match = _SPLIT.fullmatch(text)
    return match is not None and match["name"] == text


def _boundary(text, count, default):
    if text is None:
        return default
    if text.endswith("%"):
        # Rounded half to even, as TFDS does.
        value = round(int(text[:-1]) * count / 100)
    else:
        value = int(text)
    return min(max(value + count if value < 0 else value, 0), count)


def slice_rows(count: int, low: str | None, high: str | None) -> np.ndarray:
    """Rows of a slice, as TFDS counts them.

    Args:
        count: number of examples of the whole split.
        low: first row or its percentage, a text, or None; negative numbers
            count from the end.
        high: the row after the last one, likewise.

    Returns:
        `int64` array of increasing row numbers, perhaps empty.
    """
    first, last = _boundary(low, count, 0), _boundary(high, count, count)
    return np.arange(first, max(first, last), dtype=np.int64)


class NoSuchSplit(ValueError):
    """The data set has no split of that name."""


def check_split(
    source_name: str, split_name: str, existing: Collection[str]
) -> None:
    """Raises `NoSuchSplit` if there is no split of that name."""
    if split_name not in existing:
        raise NoSuchSplit(
            f"`split` must be one that {source_name} has:"
            f" {', '.join(sorted(existing))}; or a slice of one, such as"
            f" {sorted(existing)[0]}[:90%]. Received: {split_name!r}"
        )


def rows_of(
    split: str, source_name: str, sizes: Mapping[str, int]
) -> tuple[str, np.ndarray]:
    """Finds the rows of a split that a slice of it selects.

    Args:
        split: its name or a slice of it.
        source_name: name of the data set, for messages.
        sizes: split name -> number of examples.

    Returns:
        Pair of the split's name, and increasing row numbers, `int64`.

    Raises:
        ValueError: there is no such split, or the slice is empty.
    """
    name, low, high = parse_split(split)
    check_split(source_name, name, sizes)
    rows = slice_rows(sizes[name], low, high)
    if len(rows) == 0:
        raise ValueError(
            f"`split` must leave at least one of the {sizes[name]} examples of"
            f" {source_name}. Received: split={split!r}"
        )
    return name, rows


def open_slice(
    source: Source,
    split: str,
    existing: Collection[str],
    split_order: str = "shuffled",
) -> Source:
    """Reduces a whole split to the slice `split`, which becomes its name.

    Args:
        source: `Source` of the whole split.
        split: its name or a slice of it.
        existing: names of the existing splits.
        split_order: `"shuffled"`: a slice is a range of `shuffled_rows`, so
            that each slice has its share of every class (several labels at once
            and numbers are not balanced), and slices that do not
            overlap have no image in common. `"position"`: a slice is a range of
            the split in the order of its files or rows, in a folder often whole
            classes. Default `"shuffled"`.

    Returns:
        `Source`, in the order of `source`.

    Raises:
        ValueError: there is no such split or order, or the slice is empty.
    """
    if split_order not in ORDERS:
        raise ValueError(
            f"`split_order` must be one of {', '.join(ORDERS)}. Received:"
            f" split_order={split_order!r}"
        )
    count = source.num_examples
    _, rows = rows_of(split, source.name, dict.fromkeys(existing, count))
    if len(rows) < count:
        if split_order == "shuffled":
            classes = source.labels if source.has_classes else None
            rows = np.sort(shuffled_rows(count, classes)[rows])
        source = source.take(rows)
    return dataclasses.replace(source, split=split)


def shuffled_rows(count: int, labels: np.ndarray | None = None) -> np.ndarray:
    """Shuffles the rows of a split so that each range of them is balanced.

    With labels, the rows of a class are equally spaced: if a class has a share
    p of the split, any m successive rows contain p m of it, to within about
    one. The permutation depends only on count and labels, not on the seed of a
    run, so that slices of different runs can be complements.

    Args:
        count: number of rows.
        labels: `int64` `[count]`, or None.

    Returns:
        `int64` array, each of 0 ... count - 1 once.
    """
    shuffled = randomness.shuffled(count, _SEED, 0, randomness.SPLIT)
    if labels is None:
        return shuffled
    _, labels, sizes = np.unique(
        labels, return_inverse=True, return_counts=True
    )
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    within = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # The classes begin at different places: otherwise all small ones would lie
    # together.
    starts = randomness.shuffled(len(sizes), _SEED, 1, randomness.SPLIT)
    starts = (starts + 0.5) / len(sizes)
    places = (within + np.repeat(starts, sizes)) / np.repeat(sizes, sizes)
    return by_class[np.argsort(places, kind="stable")]
