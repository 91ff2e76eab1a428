"""Numbers the classes of labels of any kind: numbers, strings or one-hot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Integers are class numbers if fewer than this many below the largest have no
# image: a part of a data set need not have all classes.
_MISSING = 1_000


def number_labels(
    parts: Sequence, class_names: Sequence[str] | None = None
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Numbers the classes of one or several splits together.

    Integers from 0 stay as they are; the number of a one-hot row is that of its
    column. All other labels (strings, negative numbers, fractions, and
    identifiers such as 20,000,000, where a thousand or more numbers below the
    largest are not used) are numbered in the order of their distinct values,
    which become the names.

    Args:
        parts: sequence of labels, one for each split: arrays `[n]` or `[n, 1]`
            of numbers or strings, or one-hot `[n, K]`.
        class_names: names of the classes in order. With them labels are their
            positions, or the names themselves. Default: as above.

    Returns:
        List of `int64` arrays `[n]`, and the tuple of the names.

    Raises:
        ValueError: labels are not classes, or not those of `class_names`.
    """
    values, least = zip(*map(_values, parts))
    if len({each.dtype.kind == "U" for each in values}) > 1:
        raise ValueError(
            "Labels must be of one kind in all splits, numbers or strings."
            f" Received: {', '.join(str(each.dtype) for each in values)}"
        )
    distinct = np.unique(np.concatenate(values))
    if class_names is not None:
        return _named(values, distinct, tuple(map(str, class_names)))
    if distinct.dtype.kind in "iu" and distinct[0] >= 0:
        count = max(int(distinct[-1]) + 1, *least)
        if count - len(distinct) < _MISSING or any(least):
            labels = [each.astype(np.int64) for each in values]
            return labels, tuple(map(str, range(count)))
    if distinct.dtype.kind == "f":
        count = sum(map(len, values))
        if look_measured(len(distinct), count):
            raise ValueError(
                "Labels must be classes, each with several images; fractions"
                " that hardly ever come twice are measurements, for a"
                " `Classifier` with activation='linear' and a data set of your"
                f" own. Received: {len(distinct)} different numbers for"
                f" {count} images"
            )
    labels = [np.searchsorted(distinct, each) for each in values]
    return [x.astype(np.int64) for x in labels], tuple(map(str, distinct))


def _named(values, distinct, names):
    """`number_labels` of labels that are names, or positions in `names`."""
    integers = distinct.dtype.kind in "iu"
    if integers and distinct[0] >= 0 and distinct[-1] < len(names):
        return [each.astype(np.int64) for each in values], names
    unknown = sorted(set(map(str, distinct)) - set(names))
    if unknown:
        raise ValueError(
            "`class_names` must name all classes: labels are numbers below"
            " their number, or are among the names. Received:"
            f" {len(names)} names {_shortened(names)} and the labels"
            f" {_shortened(unknown)}"
        )
    if len(set(names)) < len(names):
        raise ValueError(
            "`class_names` must all differ, where labels are names. Received:"
            f" {_shortened(names)}"
        )
    numbers = {name: k for k, name in enumerate(names)}
    numbers = np.array([numbers[str(each)] for each in distinct], np.int64)
    return [numbers[np.searchsorted(distinct, x)] for x in values], names


def look_measured(distinct: int, count: int) -> bool:
    """Whether fractions are measurements rather than names of classes.

    Args:
        distinct: number of different values.
        count: number of images.
    """
    return 2 * distinct > count


def _shortened(names):
    more = f", ... ({len(names)})" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more


def _values(labels):
    """Labels `[n]` as integers, floats or strings, and a lower bound of K."""
    labels = np.asarray(labels)
    if labels.dtype.kind == "O":
        labels = np.asarray(labels.tolist())
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and _is_one_hot(labels):
        return labels.argmax(axis=1), labels.shape[1]
    if labels.ndim != 1 or labels.dtype.kind not in "biufUS" or not len(labels):
        raise ValueError(
            "Labels must be one for each image: an array [n] or [n, 1] of"
            " numbers or strings, or one-hot [n, K]. Several labels of one"
            " image are for a `Classifier` with activation='sigmoid' and a"
            f" data set of your own. Received: shape {labels.shape}, dtype"
            f" {labels.dtype}"
        )
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "f":
        labels = _whole(labels)
    return labels, 0


def _is_one_hot(labels):
    return labels.dtype.kind in "biuf" and bool(
        np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
    )


def _whole(labels):
    """Converts floats to integers if all of them are whole numbers."""
    bad = np.flatnonzero(~np.isfinite(labels))
    if len(bad):
        raise ValueError(
            "Labels must be finite numbers or strings; leave images without a"
            f" label out. Received: {labels[bad[0]]} at {len(bad)} of"
            f" {len(labels)} images, the first of them number {bad[0]}"
        )
    whole = (labels == np.round(labels)) & (np.abs(labels) < 2**53)
    return labels.astype(np.int64) if whole.all() else labels
