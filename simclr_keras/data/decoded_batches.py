"""Decodes and crops images on the host, and puts them into batches.

A decoding error inside a `tf.data` map would not say which file it was. So a
failed example is dropped by `ignore_errors`, which leaves a gap in the
numbers of the examples; the batch with the gap names the missing one.
"""

import dataclasses
import functools
import os

import tensorflow as tf

from simclr_keras import images
from simclr_keras import paths
from simclr_keras import randomness
from simclr_keras.data import order
from simclr_keras.images import geometry

CORRUPT = (
    "Corrupt image, it cannot be decoded (remove it, or open the data set with"
    " skip_corrupt=True):"
)


# Photographs whose crops are drawn together.
_AT_ONCE = 64


class Examples:
    """The encoded examples of a source in the order of an epoch.

    Args:
        source: `Source` with `files`, `encoded` or `records`.
        seed: Python integer.
        shuffle: whether the order is random, new in every epoch.
        shuffle_buffer: examples in the shuffle buffer of a stream.
    """

    def __init__(self, source, seed=0, shuffle=False, shuffle_buffer=1):
        self.source = source
        self._seed, self._shuffle = seed, shuffle
        self._shuffle_buffer = shuffle_buffer
        with tf.device("CPU:0"):
            self._positions = tf.constant(source.positions, tf.int64)
            if source.labels is not None:
                self._labels = tf.constant(source.labels, tf.int64)
            names = source.encoded if source.files is None else source.files
            if names is not None:
                self._stored = tf.constant(names, tf.string)
        if source.decoded is not None:
            self._size_of, self._image_of = source.decoded.reader()

    def _order(self, epoch):
        count = self.source.num_examples
        if not self._shuffle:
            return tf.range(count, dtype=tf.int64)
        return order.permutation(count, self._seed, epoch, order.EXAMPLES)

    def epoch(self, epoch, first, stop):
        """Dataset of (number in the epoch, what `fetch` needs)."""
        source = self.source
        if source.records is None:
            rows = self._order(epoch)[first:stop]
            return tf.data.Dataset.from_tensor_slices(rows).enumerate(first)
        if self._shuffle:
            records = source.records.shuffled(
                source.positions, self._seed, epoch, self._shuffle_buffer
            )
        else:
            records = source.records.in_order(source.positions)
        records = records.skip(first).take(stop - first).enumerate(first)
        return records.map(lambda number, found: (number, found[1]))

    def fetch(self, key):
        """`(image for size and decode, label or -1)` of what `epoch` yields."""
        source = self.source
        if source.records is not None:
            return source.records.parse(key)
        labelled = source.labels is not None
        label = self._labels[key] if labelled else tf.constant(-1, tf.int64)
        if source.decoded is not None:
            return key, label
        encoded = self._stored[key]
        if source.files is not None:
            encoded = tf.io.read_file(encoded)
        return encoded, label

    def size(self, fetched):
        """Height and width `[2]` in pixels of what `decode` makes."""
        if self.source.decoded is not None:
            return self._size_of(fetched)
        return images.image_size(fetched, self.source.max_pixels)

    def decode(self, fetched):
        """The pixels, `uint8` `[H, W, 3]`."""
        if self.source.decoded is not None:
            return self._image_of(fetched)
        source = self.source
        return images.decode(
            fetched, source.max_pixels, pixel_range=source.pixel_range
        )

    def name(self, epoch, number):
        """What to call an example in a message, a string tensor."""
        if self.source.records is not None:
            place = tf.strings.as_string(number)
            return tf.strings.join([self.source.origin, " (", place, " read)"])
        index = self._order(epoch)[number]
        if self.source.files is not None:
            name = self._stored[index]
        else:
            place = tf.strings.as_string(self._positions[index])
            name = tf.strings.join([self.source.origin, "#", place])
        if self.source.decoded is not None:
            return name
        reason = tf.numpy_function(
            self._reason, [self._stored[index]], tf.string, stateful=False
        )
        return tf.strings.join([name, ": ", reason])

    def _reason(self, stored):
        """Why an image cannot be decoded: a path, or its content."""
        if self.source.files is not None:
            try:
                stored = paths.as_path(os.fsdecode(stored)).read_bytes()
            except FileNotFoundError:
                return "the file is gone since the data set was opened"
            except OSError as error:
                return f"the file cannot be read ({error.strerror})"
        return images.problem(stored, self.source.max_pixels)


def to_uint8(image):
    """Float image in [0, 1], perhaps overshot by the resize -> `uint8`."""
    return tf.cast(tf.clip_by_value(tf.round(image * 255.0), 0, 255), tf.uint8)


@functools.lru_cache(maxsize=64)
def random_boxes(size, seed, crops):
    """Returns the function that draws the crops of several photographs.

    It is traced once in a process: tracing its loops takes a second.

    Args:
        size: (height, width) of the crops after their resize, in pixels.
        seed: Python integer.
        crops: tuple of `geometry.Crops`, one for each view.

    Returns:
        Function of steps `[K]`, positions in the global batch `[K]`, heights
        and widths `[K]`, that gives boxes `[K, views, 4]`, the same that the
        views on the device would draw.
    """
    height, width = size
    long, short = (tf.TensorSpec([None], x) for x in (tf.int64, tf.int32))

    def draw(steps, positions, heights, widths):
        boxes = [
            geometry.sample_crops(
                randomness.stateless_seeds(seed, steps, positions, view),
                heights,
                widths,
                target_aspect=width / height,
                area=each.area,
                aspect=each.aspect,
                sampler=each.sampler,
            )
            for view, each in enumerate(crops)
        ]
        return tf.stack(boxes, axis=1)

    return tf.function(
        draw, input_signature=[long, long, short, short], autograph=False
    )


def cut_crops(size, crops):
    """Returns (image, boxes `[views, 4]`) -> `uint8` crops, resized.

    The crops are `[views, h, w, 3]`, or `[h, w, 3]` if there is one view.
    Args are those of `random_boxes`.
    """

    def cut(image, boxes):
        cut = [
            to_uint8(
                geometry.crop_and_resize_one(image, box, size, each.antialias)
            )
            for box, each in zip(tf.unstack(boxes, len(crops)), crops)
        ]
        return tf.stack(cut) if len(cut) > 1 else cut[0]

    return cut


@dataclasses.dataclass(frozen=True)
class DecodedBatches:
    """Called, it gives the batches of an epoch, as `epochs.Batches` asks.

    Attributes:
        examples: `Examples`.
        cropping: function of the crops that views state, which gives two
            more. The first maps steps, positions, heights and widths to
            boxes; or is None: nothing is drawn. The second maps an image, and
            its boxes if they are drawn, to the pixels.
        shape: shape of these pixels.
        dtype: their type.
        batch_size: images in a batch.
        steps: batches of an epoch.
        total: examples of an epoch; `steps * batch_size` if all batches are
            full.
    """

    examples: Examples
    cropping: object
    shape: tuple
    dtype: tf.DType
    batch_size: int
    steps: int
    total: int

    def __call__(self, epoch, first_step, part, crops):
        """Dataset of (pixels, labels) from a step of an epoch on."""
        draw, cut = self.cropping(crops)
        found = self.examples.epoch(
            epoch, first_step * self.batch_size, self.total
        )
        index, parts = part
        size = self.batch_size // parts
        if parts > 1:
            # Before anything is read or decoded.
            found = found.filter(
                lambda number, _: number % self.batch_size // size == index
            )
        found = found.map(self._read, tf.data.AUTOTUNE)
        if draw is not None:
            found = self._with_boxes(found, epoch, draw)

        def make(number, label, fetched, *boxes):
            pixels = cut(self.examples.decode(fetched), *boxes)
            return number, label, tf.ensure_shape(pixels, self.shape)

        found = found.map(make, tf.data.AUTOTUNE)
        found = found.ignore_errors(log_warning=True)
        # One more, so that the gap shows if the very last is missing.
        end = tf.constant(-1, tf.int64)
        end = (end, end, tf.zeros(self.shape, self.dtype))
        end = tf.data.Dataset.from_tensors(end)
        batches = found.concatenate(end).batch(size)
        batches = batches.enumerate(first_step).take(self.steps - first_step)
        return batches.map(lambda *x: self._check(epoch, index, size, *x))

    def _read(self, number, key):
        fetched, label = self.examples.fetch(key)
        return number, label, fetched

    def _with_boxes(self, found, epoch, draw):
        """Adds the boxes of each photograph's crops."""

        def size(number, label, fetched):
            return number, label, fetched, self.examples.size(fetched)

        def add(numbers, labels, fetched, sizes):
            steps = epoch * self.steps + numbers // self.batch_size
            positions = numbers % self.batch_size
            boxes = draw(steps, positions, sizes[:, 0], sizes[:, 1])
            return numbers, labels, fetched, boxes

        found = found.map(size, tf.data.AUTOTUNE)
        # One photograph at a time, the sampler's hundred tiny ops would take
        # as long as a crop.
        found = found.ignore_errors(log_warning=True).batch(_AT_ONCE)
        return found.map(add).unbatch()

    def _check(self, epoch, index, rows, step, batch):
        """Stops at a gap in the numbers; cuts off what is one too many."""
        numbers, labels, pixels = batch
        first = step * self.batch_size + index * rows
        stop = tf.minimum(first + rows, self.total)
        expected = tf.range(first, stop)
        size = tf.size(expected)
        missing = tf.fill([rows], tf.constant(-1, tf.int64))
        numbers = tf.concat([numbers, missing], axis=0)[:size]
        wrong = tf.not_equal(numbers, expected)
        named = tf.cond(
            tf.reduce_any(wrong),
            lambda: self.examples.name(epoch, expected[tf.argmax(wrong)]),
            lambda: tf.constant(""),
        )
        complete = tf.debugging.Assert(
            tf.logical_not(tf.reduce_any(wrong)), [CORRUPT, named]
        )
        with tf.control_dependencies([complete]):
            pixels, labels = pixels[:size], labels[:size]
        if self.total == self.steps * self.batch_size:
            pixels = tf.ensure_shape(pixels, [rows, *self.shape])
            labels = tf.ensure_shape(labels, [rows])
        return pixels, labels
