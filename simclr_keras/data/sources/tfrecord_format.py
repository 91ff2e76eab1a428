"""Finds the records of a TFRecord shard and their labels; reads single ones.

A record consists of the length of its data (8 bytes), the masked CRC-32C of
these 8 bytes (4 bytes), the data, and the CRC of the data (4 bytes). The data
are a serialised `tf.train.Example`. Only the label is read from it, and the
name of a class that is new. Images are skipped, except that of the first
record, which is parsed whole.
"""

from __future__ import annotations

import array
import functools
import mmap
import os
import struct

import numpy as np
import tensorflow as tf

from simclr_keras import paths
from simclr_keras.data.sources.record_labels import RecordLabels
from simclr_keras.data.sources.shards import RecordReader
from simclr_keras.data.sources.shards import ShardIndex

_HEADER = struct.Struct("<QI")
_FOOTER = 4
_GZIP = b"\x1f\x8b"


def index(path: str, feature_image: str, feature_label: str) -> ShardIndex:
    """Reads a shard from header to header.

    If the first record has no label, labels are not searched in the others.

    Args:
        path: path of the shard. One with a scheme is copied to this machine
            while it is read.
        feature_image: name of the feature that the first record must have.
        feature_label: name of the feature of one integer.

    Returns:
        `ShardIndex`; the two numbers that find a record are the position of
        its first byte, and the number of bytes of its data.

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
    offsets, lengths = array.array("q"), array.array("q")
    labels = RecordLabels(feature_image, feature_label)
    at = 0
    while at < len(data):
        place = f"{path!r}, record {len(offsets)} at byte {at}"
        length = _length(place, data, at)
        start = at + _HEADER.size
        stop = start + length
        labels.add(place, data, start, stop)
        offsets.append(at)
        lengths.append(length)
        at = stop + _FOOTER
    return ShardIndex(
        np.array([offsets, lengths], np.int64),
        np.array(labels.labels, np.int64),
        labels.texts,
    )


def reader() -> RecordReader:
    """Returns a function that reads a record; see `shards.RecordReader`.

    TensorFlow verifies the checksums of the record.
    """
    return _read


def _read(path, place):
    # `tf.data.TFRecordDataset` has no argument for the offset.
    records = tf.raw_ops.TFRecordDatasetV2(
        filenames=path[tf.newaxis],
        compression_type="",
        buffer_size=place[1] + _HEADER.size + _FOOTER,
        byte_offsets=place[:1],
    )
    records = tf.data.experimental.from_variant(
        records, tf.TensorSpec([], tf.string)
    )
    return records.take(1).get_single_element()


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
