"""Decodes and crops images on the host, and puts them into batches.

A decoding error inside a `tf.data` map would not say which file it was. So a
failed example is dropped by `ignore_errors`, which leaves a gap in the
numbers of the examples; the batch with the gap names the missing one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from simclr_keras import randomness
from simclr_keras.data.examples import AFTER_NAME
from simclr_keras.data.examples import CORRUPT
from simclr_keras.data.examples import Examples
from simclr_keras.data.examples import label_spec
from simclr_keras.images import cropping
from simclr_keras.images import random_crops
from simclr_keras.images.formats import pixel_range

# Number of photographs whose crops are drawn together.
_AT_ONCE = 64


@functools.lru_cache(maxsize=64)
def random_boxes(
    size: tuple[int, int], seed: int, crops: tuple[random_crops.Crops, ...]
) -> Callable[..., tf.Tensor]:
    """Returns a function that draws the crop boxes of several photographs.

    The function is traced once per process, because tracing its loops takes a
    second.

    Args:
        size: (height, width) of the crops after their resize, in pixels.
        seed: Python integer.
        crops: tuple of `random_crops.Crops`, one for each view.

    Returns:
        Function of steps `[K]`, positions in the global batch `[K]`, heights
        and widths `[K]`, that returns boxes `[K, views, 4]`, the same that the
        views would draw on the device.
    """
    height, width = size
    long, short = (tf.TensorSpec([None], x) for x in (tf.int64, tf.int32))

    def draw(steps, positions, heights, widths):
        boxes = [
            random_crops.sample_crops(
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


def cut_crops(
    size: tuple[int, int], crops: tuple[random_crops.Crops, ...]
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns a function from an image and its boxes to its resized crops.

    The boxes are `[views, 4]`; the crops are `uint8` `[views, h, w, C]`, or
    `[h, w, C]` if there is one view. Arguments are those of `random_boxes`.
    """

    def cut(image, boxes):
        cut = [
            pixel_range.to_uint8(
                cropping.crop_and_resize_one(image, box, size, each.antialias),
                (0.0, 1.0),
            )
            for box, each in zip(tf.unstack(boxes, len(crops)), crops)
        ]
        return tf.stack(cut) if len(cut) > 1 else cut[0]

    return cut


@dataclasses.dataclass(frozen=True)
class DecodedBatches:
    """Makes the batches of an epoch: the `one_epoch` of `epochs.Batches`.

    Attributes:
        examples: `Examples`.
        cropping: function of the crops that views state, which returns two
            functions. The first maps steps, positions, heights and widths to
            boxes, or is None if no boxes are drawn. The second maps an image,
            and its boxes if they are drawn, to the pixels.
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
        found = self.examples.epoch(
            epoch, first_step * self.batch_size, self.total
        )
        index, parts = part
        size = self.batch_size // parts
        if parts > 1:
            # Filters before anything is read or decoded.
            found = found.filter(
                lambda number, _: number % self.batch_size // size == index
            )
        found = self.decode(found, epoch, crops)
        # Adds one example, so that a missing last example leaves a gap too.
        end = tf.constant(-1, tf.int64)
        label = found.element_spec[1]
        label = -tf.ones(label.shape, label.dtype)
        end = (end, label, tf.zeros(self.shape, self.dtype))
        end = tf.data.Dataset.from_tensors(end)
        batches = found.concatenate(end).batch(size)
        batches = batches.enumerate(first_step).take(self.steps - first_step)
        return batches.map(lambda *x: self._check(epoch, index, size, *x))

    @property
    def label_spec(self):
        """Shape and dtype of the label of one example."""
        return label_spec(self.examples.source)

    def decode(self, found, epoch, crops):
        """Reads, decodes and crops examples, and drops those that fail.

        Args:
            found: dataset of (number in the epoch, key for `Examples.fetch`).
            epoch: number of the epoch.
            crops: as for `HostCrops.resolve`.

        Returns:
            Dataset of (number, label, pixels).
        """
        draw, cut = self.cropping(crops)
        found = found.map(self._read, tf.data.AUTOTUNE)
        if draw is not None:
            found = self._with_boxes(found, epoch, draw)

        def make(number, label, fetched, *boxes):
            pixels = cut(self.examples.decode(fetched), *boxes)
            return number, label, tf.ensure_shape(pixels, self.shape)

        found = found.map(make, tf.data.AUTOTUNE)
        return found.ignore_errors(log_warning=True)

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
        """Stops at a gap in the numbers; cuts off the added example."""
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
            tf.logical_not(tf.reduce_any(wrong)), [CORRUPT, named, AFTER_NAME]
        )
        with tf.control_dependencies([complete]):
            pixels, labels = pixels[:size], labels[:size]
        if self.total == self.steps * self.batch_size:
            pixels = tf.ensure_shape(pixels, [rows, *self.shape])
            labels = tf.ensure_shape(labels, [rows, *labels.shape[1:]])
        return pixels, labels
