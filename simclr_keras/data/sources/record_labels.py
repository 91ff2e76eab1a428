"""Reads labels and names of classes from serialised `tf.train.Example`s."""

from __future__ import annotations

import array
import mmap
from typing import Union

import tensorflow as tf
from google.protobuf.message import DecodeError

NO_LABEL = -1
# Ends of the names of the features with the number and the name of a class.
_NUMBER, _NAME = b"/label", b"/text"
# Tags of the wire format: fields 1 and 2, both length-delimited.
_FIRST, _SECOND = 10, 18

Bytes = Union[bytes, mmap.mmap]


class RecordLabels:
    """Labels of the records of a shard, which are added in order.

    The first record is parsed whole. If it has no label, labels are not
    searched in the others; nothing else is read from them.

    Args:
        feature_image: name of the feature that the first record must have.
        feature_label: name of the feature of one integer.

    Attributes:
        labels: `int64` array, `NO_LABEL` for a record without a label.
        texts: dict of label -> name of the class in the first record with this
            label: for `image/class/label`, the text in `image/class/text`. None
            if it has no such feature, or not a single line of text in it.
        labelled: whether labels are searched.
    """

    def __init__(self, feature_image: str, feature_label: str):
        self._image, self._label = feature_image, feature_label
        self._key = feature_label.encode()
        self.labels = array.array("q")
        self.texts = {}
        self.labelled = True

    def add(
        self,
        place: str,
        data: Bytes,
        start: int,
        stop: int,
    ) -> None:
        """Adds the label of the next record.

        Args:
            place: where the record is, for errors.
            data: bytes that contain it.
            start: position of its first byte.
            stop: position after its last byte.

        Raises:
            ValueError: the record does not have these features.
        """
        if not self.labels:
            first = _example(place, data[start:stop])
            _check_image(place, first, self._image)
            self.labelled = self._label in first
        label = NO_LABEL
        if self.labelled:
            label = _label(place, self._label, data, start, stop, self._key)
            if label not in self.texts:
                self.texts[label] = _text(place, data, start, stop, self._key)
        self.labels.append(label)

    def add_unlabelled(self, count: int) -> None:
        """Adds records without a label."""
        self.labels.extend([NO_LABEL] * count)


def _example(place, record):
    """Map from names to features of a record."""
    try:
        return tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError(
            "The records of shards must be tf.train.Examples."
            f" Received: another content in {place}"
        ) from error


def _check_image(place, features, name):
    if name not in features or len(features[name].bytes_list.value) != 1:
        raise ValueError(
            "--feature_image must name a feature that holds one encoded image"
            f" (JPEG, PNG and so on). Received: {name!r}; the features of"
            f" {place} are: {', '.join(sorted(features)) or 'none'}"
        )


def _label(place, name, data, start, stop, key):
    feature = _feature(place, data, start, stop, key)
    if feature is None:
        return NO_LABEL
    values = feature.int64_list.value
    if len(values) != 1:
        raise ValueError(
            "--feature_label must name a feature that holds one integer, or"
            f" be empty for no labels. Received: {name!r}, with"
            f" {len(values)} integers ({feature.WhichOneof('kind')}) in {place}"
        )
    return values[0]


def _text(place, data, start, stop, key):
    """Name of the class as the record states it, or None."""
    if not key.endswith(_NUMBER):
        return None
    key = key[: -len(_NUMBER)] + _NAME
    feature = _feature(place, data, start, stop, key)
    values = () if feature is None else feature.bytes_list.value
    text = values[0].decode(errors="replace") if len(values) == 1 else ""
    return text if len(text.splitlines()) == 1 else None


def _feature(place, data, start, stop, key):
    """The `tf.train.Feature` of a name in a record, or None."""
    try:
        found = find_feature(data, start, stop, key)
        return found and tf.train.Feature.FromString(data[slice(*found)])
    except (ValueError, IndexError, DecodeError):
        # For example, another program wrote the fields in another order.
        features = _example(place, data[start:stop])
        return features.get(key.decode())


def find_feature(
    data: Bytes, start: int, stop: int, key: bytes
) -> tuple[int, int] | None:
    """Position of a feature in a serialised `tf.train.Example`, not parsed.

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
