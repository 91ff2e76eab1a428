"""Finds one feature in a serialised `tf.train.Example`, past all others."""

from __future__ import annotations

import mmap
from typing import Union

# Tags of the wire format: fields 1 and 2, of a length that follows.
_FIRST, _SECOND = 10, 18

Bytes = Union[bytes, mmap.mmap]


def find_feature(
    data: Bytes, start: int, stop: int, key: bytes
) -> tuple[int, int] | None:
    """Where a feature of a serialised `tf.train.Example` lies.

    Nothing of other features is touched but their names and lengths.

    Args:
        data: what holds the record.
        start: where it begins.
        stop: where it ends.
        key: name of the feature.

    Returns:
        Pair of positions in `data`, or None if there is no such feature.

    Raises:
        ValueError: the record is not as protobuf writes it, one list of pairs
            of a name and then its value.
    """
    if start == stop:
        return None
    at, end = _field(data, start, stop, _FIRST)
    if end != stop:
        raise ValueError("something beside the features")
    found = None
    while at < stop:
        at, end = _field(data, at, stop, _FIRST)
        name, behind = _field(data, at, end, _FIRST)
        if data[name:behind] == key and behind < end:
            found = _field(data, behind, end, _SECOND)
        at = end
    return found


def _field(data, at, stop, tag):
    """Where the content of the field that begins at `at` lies."""
    if data[at] != tag:
        raise ValueError("another field")
    at += 1
    length = data[at]
    if length >= 128:
        length, shift = length & 127, 7
        while shift < 35:
            at += 1
            length |= (data[at] & 127) << shift
            if data[at] < 128:
                break
            shift += 7
    at += 1
    if at + length > stop:
        raise ValueError("a field that does not end")
    return at, at + length
