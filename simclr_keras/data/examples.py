"""Reads, decodes and names the encoded examples of a source, one at a time."""

from __future__ import annotations

import os

import tensorflow as tf

from simclr_keras import images
from simclr_keras import paths
from simclr_keras import randomness
from simclr_keras.data.sources.source import Source
from simclr_keras.images.formats import pixel_range as ranges

CORRUPT = (
    "Corrupt image, it cannot be decoded (remove it, or leave such images out"
    " by skip_corrupt=True or --skip_corrupt):"
)
# Follows the image's name in the error, as names may have brackets in them.
AFTER_NAME = "while a batch was made"


class Examples:
    """The encoded examples of a source in the order of an epoch.

    Args:
        source: `Source` with `files`, `encoded`, `shards` or `records`.
        seed: Python integer.
        shuffle: whether the order is random, new in every epoch.
        shuffle_buffer: examples in the shuffle buffer of a stream.
    """

    def __init__(
        self,
        source: Source,
        seed: int = 0,
        shuffle: bool = False,
        shuffle_buffer: int = 1,
    ):
        self.source = source
        self._seed, self._shuffle = seed, shuffle
        self._shuffle_buffer = shuffle_buffer
        with tf.device("CPU:0"):
            self._positions = tf.constant(source.positions, tf.int64)
            if source.labels is not None:
                dtype = label_spec(source).dtype
                self._labels = tf.constant(source.labels, dtype)
            names = source.encoded if source.files is None else source.files
            if names is not None:
                self._stored = tf.constant(names, tf.string)
        if source.shards is not None:
            self._read_shard, self._record_name = source.shards.reader()
        if source.decoded is not None:
            self._size_of, self._image_of = source.decoded.reader()

    def order(self, epoch: int | tf.Tensor) -> tf.Tensor:
        """Keys for `fetch` in the order of an epoch, except of a stream."""
        count = self.source.num_examples
        if not self._shuffle:
            return tf.range(count, dtype=tf.int64)
        return randomness.permutation(
            count, self._seed, epoch, randomness.EXAMPLES
        )

    def epoch(
        self,
        epoch: int | tf.Tensor,
        first: int | tf.Tensor,
        stop: int | tf.Tensor,
    ) -> tf.data.Dataset:
        """Dataset of (number in the epoch, key for `fetch`)."""
        source = self.source
        if source.records is None:
            rows = self.order(epoch)[first:stop]
            return tf.data.Dataset.from_tensor_slices(rows).enumerate(first)
        if self._shuffle:
            records = source.records.shuffled(
                source.positions, self._seed, epoch, self._shuffle_buffer
            )
        else:
            records = source.records.in_order(source.positions)
        records = records.skip(first).take(stop - first).enumerate(first)
        return records.map(lambda number, found: (number, found[1]))

    def fetch(self, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps a key to `(what size and decode take, label or -1)`.

        The label is as `label_spec` says.
        """
        source = self.source
        if source.records is not None:
            return source.records.parse(key)
        labelled = source.labels is not None
        label = self._labels[key] if labelled else tf.constant(-1, tf.int64)
        if source.decoded is not None:
            return key, label
        if source.shards is not None:
            return self._read_shard(key), label
        encoded = self._stored[key]
        if source.files is not None:
            encoded = tf.io.read_file(encoded)
        return encoded, label

    def size(self, fetched: tf.Tensor) -> tf.Tensor:
        """Height and width `[2]` in pixels of the image that `decode` makes."""
        if self.source.decoded is not None:
            return self._size_of(fetched)
        source = self.source
        return images.image_size(fetched, source.max_pixels, source.channels)

    def decode(self, fetched: tf.Tensor) -> tf.Tensor:
        """The pixels, `uint8` `[H, W, C]`."""
        source = self.source
        if source.decoded is not None:
            return self._image_of(fetched)
        if source.records is not None and source.records.is_tensor:
            if fetched.dtype.is_floating:
                fetched = tf.debugging.check_numerics(fetched, "the image")
            return ranges.tensor_to_uint8(fetched, source.pixel_range)
        return images.decode(
            fetched,
            source.max_pixels,
            pixel_range=source.pixel_range,
            channels=source.channels,
        )

    def name(self, epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        """Name of an example for messages, a string tensor."""
        if self.source.records is not None:
            place = tf.strings.as_string(number)
            return tf.strings.join([self.source.origin, " (", place, " read)"])
        index = self.order(epoch)[number]
        if self.source.files is not None:
            name = self._stored[index]
        elif self.source.shards is not None:
            name = self._record_name(index, self._positions[index])
        else:
            place = tf.strings.as_string(self._positions[index])
            name = tf.strings.join([self.source.origin, "#", place])
        if self.source.decoded is not None:
            return name
        if self.source.shards is not None:
            reason, key = self._reason_of_record, index
        else:
            reason, key = self._reason, self._stored[index]
        reason = tf.numpy_function(reason, [key], tf.string, stateful=False)
        return tf.strings.join([name, ": ", reason])

    def _reason_of_record(self, row):
        """Why an image in a shard cannot be decoded."""
        try:
            encoded = self._read_shard(tf.constant(row)).numpy()
        except tf.errors.OpError as error:
            return f"the record cannot be read ({error.message.strip()})"
        return self._problem(encoded)

    def _reason(self, stored):
        """Says why an image, given by path or content, cannot be decoded."""
        if self.source.files is not None:
            try:
                stored = paths.as_path(os.fsdecode(stored)).read_bytes()
            except FileNotFoundError:
                return "the file is gone since the data set was opened"
            except OSError as error:
                return f"the file cannot be read ({error.strerror})"
        return self._problem(stored)

    def _problem(self, encoded):
        source = self.source
        return images.problem(
            encoded,
            source.max_pixels,
            pixel_range=source.pixel_range,
            channels=source.channels,
        )


def label_spec(source: Source) -> tf.TensorSpec:
    """Shape and dtype of the label of one example of a source."""
    if source.labels is None or source.labels.ndim == 1:
        return tf.TensorSpec([], tf.int64)
    return tf.TensorSpec([source.num_classes], tf.float32)
