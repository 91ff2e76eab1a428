"""Finds the records of an ArrayRecord file and their labels; reads single ones.

The file ends with an index of its records, so a record is found by its number.
The data of a record are a serialised `tf.train.Example`.
"""

from __future__ import annotations

import contextlib
import functools
import os
from typing import Any

import numpy as np
import tensorflow as tf

from simclr_keras import paths
from simclr_keras.data.sources.record_labels import RecordLabels
from simclr_keras.data.sources.shards import RecordReader
from simclr_keras.data.sources.shards import ShardIndex

# Without these the reader would read 16 MB ahead.
_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_BUFFER = 2**15
# Records that are read at once for their labels.
_AT_ONCE = 16
# Files that a pipeline keeps open; a process may often have 1,024.
_OPEN_FILES = 256
_ERRORS = (RuntimeError, ValueError, IndexError)


def index(path: str, feature_image: str, feature_label: str) -> ShardIndex:
    """Reads the number of the records and, if they have some, the labels.

    If the first record has no label, no other record is read. Else all are
    read once, as the file does not tell where in a record the label is.

    Args:
        path: path of the file, local or `gs://`.
        feature_image: name of the feature that the first record must have.
        feature_label: name of the feature of one integer.

    Returns:
        `ShardIndex`; a record is found by its number in the file.

    Raises:
        ValueError: the file is elsewhere, is not a whole ArrayRecord file, or
            its records do not have these features.
        ImportError: array_record is not installed.
    """
    _check_scheme(path)
    file = _open(path)
    labels = RecordLabels(feature_image, feature_label)
    try:
        count = file.num_records()
        if not file.ok():
            _refuse(path, _reason(file))
        for start in [*range(min(count, 1)), *range(1, count, _AT_ONCE)]:
            if not labels.labelled:
                labels.add_unlabelled(count - start)
                break
            stop = min(start + _AT_ONCE, count) if start else 1
            for number, record in enumerate(_several(path, file, start, stop)):
                place = f"{path!r}, record {start + number}"
                labels.add(place, record, 0, len(record))
    finally:
        with contextlib.suppress(*_ERRORS):  # is said again by a failed file
            file.close()
    return ShardIndex(
        np.arange(count)[np.newaxis],
        np.array(labels.labels, np.int64),
        labels.texts,
    )


def reader() -> RecordReader:
    """Returns a function that reads a record; see `shards.RecordReader`.

    array_record verifies the checksum of the record. Files stay open.
    """
    opened = functools.lru_cache(maxsize=_OPEN_FILES)(_open)

    def read_one(path, number):
        try:
            path, number = os.fsdecode(np.asarray(path).item()), int(number)
            # A range of one is read in a quarter of the time of a list of one.
            return opened(path).read(number, number + 1)[0]
        except _ERRORS as error:
            raise tf.errors.DataLossError(None, None, str(error)) from error

    def read(path, place):
        record = tf.numpy_function(
            read_one, [path, place[0]], tf.string, stateful=False
        )
        return tf.ensure_shape(record, [])

    return read


def check_installed() -> None:
    """Raises an ImportError if array_record is not installed."""
    _module()


def writer(path: str) -> Any:
    """Opens a new file whose records can be read singly.

    Args:
        path: local path.

    Returns:
        Object with the methods `write(record)` and `close()`.

    Raises:
        ImportError: array_record is not installed.
    """
    return _module().ArrayRecordWriter(path, "group_size:1")


def _open(path):
    return _module().ArrayRecordReader(
        path, options=_OPTIONS, file_reader_buffer_size=_BUFFER
    )


def _module():
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise ImportError(
            "ArrayRecord files need array_record: install the extra"
            " arrayrecord, pip install '.[arrayrecord]' in a clone of"
            f" simclr_keras, on Python 3.11 or later ({error})"
        ) from error
    return array_record_module


def _check_scheme(path):
    path = paths.as_path(path)
    if paths.is_remote(path) and path.scheme != "gs":
        raise ValueError(
            "ArrayRecord files must be local, or on gs://, which array_record"
            f" reads by itself. Received: {str(path)!r}; copy them to a disk"
        )


def _several(path, file, start, stop):
    """Some successive records."""
    try:
        return file.read(start, stop)
    except _ERRORS as error:
        _refuse(f"{path}#{start} to {stop - 1}", error)


def _reason(file):
    """Why a file could not be opened."""
    try:
        file.read(0, 1)
    except _ERRORS as error:
        return error


def _refuse(place, error):
    raise ValueError(
        "ArrayRecord files must be whole, with records that can be read."
        f" Received: {place!r} ({error}). Copy or write it again"
    )
