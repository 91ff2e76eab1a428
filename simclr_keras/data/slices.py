"""`train[:90%]` -> the name of a split and the rows of it that are meant."""

import dataclasses
import re

import numpy as np

_SPLIT = re.compile(
    r"(?P<name>[\w.-]+)"
    r"(?:\[(?P<low>-?\d+%?)?:(?P<high>-?\d+%?)?\])?"
)


def parse_split(split):
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


def _boundary(text, count, default):
    if text is None:
        return default
    if text.endswith("%"):
        # Rounded half to even, as TFDS does.
        value = round(int(text[:-1]) * count / 100)
    else:
        value = int(text)
    return min(max(value + count if value < 0 else value, 0), count)


def slice_rows(count, low, high):
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


def check_split(source_name, split_name, existing):
    """Raises a `ValueError` if there is no split of that name."""
    if split_name not in existing:
        raise ValueError(
            f"`split` must be one that {source_name} has:"
            f" {', '.join(sorted(existing))}; or a slice of one, such as"
            f" {sorted(existing)[0]}[:90%]. Received: {split_name!r}"
        )


def rows_of(split, source_name, sizes):
    """Rows of a split that a slice of it means.

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


def open_slice(source, split, existing):
    """Reduces a whole split to what `split` asks for, and names it so.

    Raises:
        ValueError: there is no such split, or the slice is empty.
    """
    sizes = dict.fromkeys(existing, source.num_examples)
    _, rows = rows_of(split, source.name, sizes)
    if len(rows) < source.num_examples:
        source = source.take(rows)
    return dataclasses.replace(source, split=split)
