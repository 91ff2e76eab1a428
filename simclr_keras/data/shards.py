"""Reads single images from TFRecord shards, in any order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Bytes of a record besides its data: the length and two checksums.
_FRAME = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Shards:
    """Positions of the encoded images of a source in its shards.

    Attributes:
        files: paths of all shards, in order.
        firsts: `int64`, number of records in the shards before each shard.
        feature: name of the feature that holds the encoded image.
        numbers: `int32` `[n]`, the shard of each image.
        offsets: `int64` `[n]`, position in bytes of its record in the shard.
        lengths: `int64` `[n]`, number of bytes of the record's data.
    """

    files: tuple
    firsts: np.ndarray
    feature: str
    numbers: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray

    def take(self, indices: np.ndarray) -> Shards:
        """Some of the images, in the order given."""
        return dataclasses.replace(
            self,
            numbers=self.numbers[indices],
            offsets=self.offsets[indices],
            lengths=self.lengths[indices],
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
            Function of the row that reads the encoded image; TensorFlow
            verifies the checksums of its record. Function of the row and the
            position that returns the name of the image, see `names`.
        """
        with tf.device("CPU:0"):
            files = tf.constant(self.files, tf.string)
            numbers = tf.constant(self.numbers, tf.int32)
            offsets = tf.constant(self.offsets, tf.int64)
            lengths = tf.constant(self.lengths, tf.int64)
            firsts = tf.constant(self.firsts, tf.int64)
        features = {self.feature: tf.io.FixedLenFeature([], tf.string)}

        def encoded_image(row):
            # `tf.data.TFRecordDataset` has no argument for the offset.
            records = tf.raw_ops.TFRecordDatasetV2(
                filenames=files[numbers[row]][tf.newaxis],
                compression_type="",
                buffer_size=lengths[row] + _FRAME,
                byte_offsets=offsets[row][tf.newaxis],
            )
            records = tf.data.experimental.from_variant(
                records, tf.TensorSpec([], tf.string)
            )
            record = records.take(1).get_single_element()
            return tf.io.parse_single_example(record, features)[self.feature]

        def name(row, position):
            shard = numbers[row]
            record = tf.strings.as_string(position - firsts[shard])
            return tf.strings.join([files[shard], "#", record])

        return encoded_image, name
