"""Finds the positions of the records in a TFRecord shard; reads their labels.

A record consists of the length of its data (8 bytes), the masked CRC-32C of
these 8 bytes (4 bytes), the data, and the CRC of the data (4 bytes). The data
are a serialised `tf.train.Example`. Only the label is read from it, and the
name of a class that is new. Images are skipped, except that of the first
record, which is parsed whole.
"""

from __future__ import annotations

import array
import dataclasses
import functools
import mmap
import os
import struct

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from simclr_keras import paths
from simclr_keras.data import serialized_example

NO_LABEL = -1
_HEADER = struct.Struct("<QI")
_FOOTER = 4
# Ends of the names of the features with the number and the name of a class.
_NUMBER, _NAME = b"/label", b"/text"
_GZIP = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True, eq=False)
class ShardIndex:
    """The records of a shard.

    Attributes:
        offsets: `int64` `[n]`, position of each record's first byte.
        lengths: `int64` `[n]`, number of bytes of its data.
        labels: `int64` `[n]`, `NO_LABEL` for a record without a label.
        texts: dict of label -> name of the class in the first record with this
            label: for `image/class/label`, the text in `image/class/text`. None
            if it has no such feature, or not a single line of text in it.
    """

    offsets: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    texts: dict


def read(path: str, feature_image: str, feature_label: str) -> ShardIndex:
    """Reads a shard from header to header.

    If the first record has no label, labels are not searched in the others.

    Args:
        path: path of the shard. One with a scheme is copied to this machine
            while it is read.
        feature_image: name of the feature that the first record must have.
        feature_label: name of the feature of one integer.

    Raises:
        ValueError: the shard is compressed, cut short or damaged, or its
            records do not have these features.
    """
    with paths.local_copy(paths.as_path(path)) as local:
        with open(local, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:  # cannot be mapped
                return _walk(path, b"", feature_image, feature_label)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if hasattr(mmap, "MADV_RANDOM"):
                    # Else the system reads the images between the headers.
                    data.madvise(mmap.MADV_RANDOM)
                return _walk(path, data, feature_image, feature_label)


def _walk(path, data, feature_image, feature_label):
    offsets, lengths, labels = (array.array("q") for _ in range(3))
    key, texts, labelled = feature_label.encode(), {}, True
    at = 0
    while at < len(data):
        place = f"{path!r}, record {len(offsets)} at byte {at}"
        length = _length(place, data, at)
        start = at + _HEADER.size
        stop = start + length
        if at == 0:
            first = _example(place, data[start:stop])
            _check_image(place, first, feature_image)
            labelled = feature_label in first
        label = NO_LABEL
        if labelled:
            label = _label(place, feature_label, data, start, stop, key)
            if label not in texts:
                texts[label] = _text(place, data, start, stop, key)
        offsets.append(at)
        lengths.append(length)
        labels.append(label)
        at = stop + _FOOTER
    numbers = [np.array(each, np.int64) for each in (offsets, lengths, labels)]
    return ShardIndex(*numbers, texts)


def _length(place, data, at):
    """Number of data bytes of the record that begins at `at`."""
    left = len(data) - at - _HEADER.size - _FOOTER
    if left >= 0:
        length, crc = _HEADER.unpack_from(data, at)
        if crc != masked_crc(length):
            _refuse(place, at, data)
        if length <= left:
            return length
    if at == 0 and data[:2] == _GZIP:
        _refuse(place, at, data)
    raise ValueError(
        "TFRecord shards must be whole. Received: a shard that ends within"
        f" {place}. Copy or write it again"
    )


def _refuse(place, at, data):
    if at == 0 and data[:2] == _GZIP:
        raise ValueError(
            "TFRecord shards must not be compressed, since single records are"
            f" read from anywhere in them. Received: gzip, {place}. Unpack it"
            " (gunzip), or write it without compression; images are"
            " compressed by themselves"
        )
    raise ValueError(
        "TFRecord shards must be undamaged, and not compressed. Received: a"
        f" wrong checksum of a length in {place}. Copy or write it again"
    )


@functools.cache
def _crc_of_byte(byte):
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 & -(byte & 1))
    return byte


def masked_crc(length: int) -> int:
    """CRC-32C of the 8 bytes of a length, masked as in a record's header."""
    crc = 0xFFFFFFFF
    for byte in length.to_bytes(8, "little"):
        crc = (crc >> 8) ^ _crc_of_byte(crc & 0xFF ^ byte)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _example(place, record):
    """Map from names to features of a record."""
    try:
        return tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError(
            "The records of TFRecord shards must be tf.train.Examples."
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
        found = serialized_example.find_feature(data, start, stop, key)
        return found and tf.train.Feature.FromString(data[slice(*found)])
    except (ValueError, IndexError, DecodeError):
        # For example, another program wrote the fields in another order.
        features = _example(place, data[start:stop])
        return features.get(key.decode())
