"""Reads single images from record files, in any order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Function of a path, a string tensor, and of the `int64` numbers [k] that find
# a record in this file (`ShardIndex.places`), which returns the record, a
# string tensor.
RecordReader = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class ShardIndex:
    """The records of a shard.

    Attributes:
        places: `int64` `[k, n]`, the numbers that find each record in the
            shard; which ones, the format of the file says.
        labels: `int64` `[n]`, -1 for a record without a label.
        texts: names of the classes, see `record_labels.RecordLabels`.
    """

    places: np.ndarray
    labels: np.ndarray
    texts: dict


@dataclasses.dataclass(frozen=True, eq=False)
class Shards:
    """Positions of the encoded images of a source in its shards.

    Attributes:
        files: paths of all shards, in order.
        firsts: `int64`, number of records in the shards before each shard.
        feature: name of the feature that holds the encoded image.
        numbers: `int32` `[n]`, the shard of each image.
        places: `int64` `[k, n]`, see `ShardIndex`.
        record_reader: function without arguments that returns the
            `RecordReader` of the format of the files.
    """

    files: tuple
    firsts: np.ndarray
    feature: str
    numbers: np.ndarray
    places: np.ndarray
    record_reader: Callable[[], RecordReader]

    def take(self, indices: np.ndarray) -> Shards:
        """Some of the images, in the order given."""
        return dataclasses.replace(
            self,
            numbers=self.numbers[indices],
            places=self.places[:, indices],
        )

    def names(self, positions: np.ndarray) -> list[str]:
        """`"PATH#k"` of each image: record k of its shard, from 0.

        Args:
            positions: `int64` `[n]`, numbers of their records, counted over all
                shards.
        """
        records = positions - self.firsts[self.numbers]
        pairs = zip(self.numbers.tolist(), records.tolist())
        return [f"{self.files[shard]}#{record}" for shard, record in pairs]

    def reader(
        self,
    ) -> tuple[
        Callable[[tf.Tensor], tf.Tensor],
        Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    ]:
        """Functions for `tf.data` that read and name an image.

        Returns:
            Function of the row that reads the encoded image; the checksums
            of its record are verified. Function of the row and the position
            that returns the name of the image, see `names`.
        """
        with tf.device("CPU:0"):
            files = tf.constant(self.files, tf.string)
            numbers = tf.constant(self.numbers, tf.int32)
            places = tf.constant(self.places, tf.int64)
            firsts = tf.constant(self.firsts, tf.int64)
        read_record = self.record_reader()
        features = {self.feature: tf.io.FixedLenFeature([], tf.string)}

        def encoded_image(row):
            record = read_record(files[numbers[row]], places[:, row])
            return tf.io.parse_single_example(record, features)[self.feature]

        def name(row, position):
            shard = numbers[row]
            record = tf.strings.as_string(position - firsts[shard])
            return tf.strings.join([files[shard], "#", record])

        return encoded_image, name
