"""Finds one feature in a serialised `tf.train.Example`, without parsing it."""

from __future__ import annotations

import mmap
from typing import Union

# Tags of the wire format: fields 1 and 2, both length-delimited.
_FIRST, _SECOND = 10, 18

Bytes = Union[bytes, mmap.mmap]


def find_feature(
    data: Bytes, start: int, stop: int, key: bytes
) -> tuple[int, int] | None:
    """Position of a feature in a serialised `tf.train.Example`.

    Of other features, only the names and lengths are read.

    Args:
        data: bytes that contain the record.
        start: position of its first byte.
        stop: position after its last byte.
        key: name of the feature.

    Returns:
        Pair of start and stop in `data`, or None if there is no such feature.

    Raises:
        ValueError: the record is not laid out as protobuf usually writes it,
            one list of pairs with the name before the value.
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
    """Start and stop of the content of the field that begins at `at`."""
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
