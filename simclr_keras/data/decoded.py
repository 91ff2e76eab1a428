"""Keeps decoded photographs of any size one after the other in a buffer."""

from __future__ import annotations

import mmap
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import console
from simclr_keras import images

# Images begin at multiples of this, so that none shares a cache line.
_ALIGNMENT = 64


class Buffer:
    """Bytes that TensorFlow reads in place, without a copy.

    Args:
        array: `uint8` `[bytes]`, in memory or mapped from a file.
    """

    def __init__(self, array: np.ndarray):
        self.array = array
        self._tensor = None

    def tensor(self) -> tf.Tensor:
        """The same bytes as a tensor."""
        if self._tensor is None:
            capsule = self.array.__dlpack__()
            self._tensor = tf.experimental.dlpack.from_dlpack(capsule)
        return self._tensor


class Decoded:
    """Decoded images of a source.

    Attributes:
        sizes: `int32` `[n, 2]`, height and width of each image in pixels; 0
            where it cannot be decoded.
        starts: `int64` `[n]`, offset of each image's pixels in the buffer.

    Args:
        buffer: `Buffer`.
        starts: see above.
        sizes: see above.
        channels: number of channels of the images. Default 3.
    """

    def __init__(
        self,
        buffer: Buffer,
        starts: np.ndarray,
        sizes: np.ndarray,
        channels: int = 3,
    ):
        self._buffer, self._channels = buffer, channels
        self.starts, self.sizes = starts, sizes

    def take(self, indices: np.ndarray) -> Decoded:
        """Some of the images, in the order given; the bytes are shared."""
        return Decoded(
            self._buffer,
            self.starts[indices],
            self.sizes[indices],
            self._channels,
        )

    def reader(
        self,
    ) -> tuple[
        Callable[[tf.Tensor], tf.Tensor], Callable[[tf.Tensor], tf.Tensor]
    ]:
        """Functions for `tf.data` that map a row to its size and its pixels."""
        with tf.device("CPU:0"):
            starts = tf.constant(self.starts, tf.int64)
            sizes = tf.constant(self.sizes, tf.int32)
        pixels, channels = self._buffer.tensor(), self._channels

        def size_of(row):
            return sizes[row]

        def image_of(row):
            height, width = tf.unstack(sizes[row])
            start = starts[row]
            stop = start + channels * tf.cast(height * width, tf.int64)
            return tf.reshape(pixels[start:stop], [height, width, channels])

        return size_of, image_of


def in_memory(count: int) -> np.ndarray:
    """`uint8` array of `count` zeros, whose memory TensorFlow can share."""
    # Allocates whole pages, because arrays that NumPy allocates may not have
    # the alignment that tensors need.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return np.frombuffer(mmap.mmap(-1, max(count, 1), flags=flags), np.uint8)


def read_sizes(
    fetch: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    max_pixels: int,
    rows: np.ndarray,
    channels: int | None = None,
) -> np.ndarray:
    """Sizes of encoded images, from their headers.

    Args:
        fetch: function that maps a row number, a tensor, to the encoded image
            and its label.
        max_pixels: as for `images.decode`.
        rows: `int64` `[n]`, row numbers of the images.
        channels: as for `images.decode`. Default None.

    Returns:
        `int32` `[n, 2]`: height and width in pixels; 0 where the header cannot
        be read.
    """

    def size(number, row):
        encoded = fetch(row)[0]
        return number, images.image_size(encoded, max_pixels, channels)

    sizes = np.zeros((len(rows), 2), np.int32)
    for number, found in _decoded(size, rows):
        sizes[number] = found
    return sizes


def layout(sizes: np.ndarray, channels: int = 3) -> tuple[np.ndarray, int]:
    """Offsets of images of these sizes in a buffer, and its size in bytes."""
    counts = channels * np.prod(sizes, axis=1, dtype=np.int64)
    counts = -(-counts // _ALIGNMENT) * _ALIGNMENT
    stops = np.cumsum(counts)
    return stops - counts, int(stops[-1])


def fill(
    array: np.ndarray,
    fetch: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    sizes: np.ndarray,
    *,
    max_pixels: int,
    pixel_range: tuple[float, float] | None = None,
    channels: int | None = None,
) -> np.ndarray:
    """Decodes all images into a buffer.

    Args:
        array: `uint8` array of the size that `layout` returns.
        fetch: as for `read_sizes`.
        sizes: `int32` `[n, 2]` of `read_sizes`.
        max_pixels: as for `images.decode`.
        pixel_range: as for `images.decode`.
        channels: as for `images.decode`.

    Returns:
        `sizes`, with 0 where an image cannot be decoded.
    """

    def pixels(number, row):
        image = images.decode(
            fetch(row)[0],
            max_pixels,
            pixel_range=pixel_range,
            channels=channels,
        )
        return number, image

    starts, _ = layout(sizes, channels or 3)
    count = len(sizes)
    filled = np.zeros_like(sizes)
    with console.counting(count) as show:
        for number, image in _decoded(pixels, np.arange(count)):
            if image.shape[:2] != tuple(sizes[number]):
                continue  # counts as corrupt, as its header gives another size
            start = starts[number]
            array[start : start + image.size] = image.reshape(-1)
            filled[number] = sizes[number]
            if number % 100 == 0:
                show(number)
        show(count)
    return filled


def _decoded(function, rows):
    """Iterates over (number, array) of the images that `function` can read."""
    found = tf.data.Dataset.from_tensor_slices(rows.astype(np.int64))
    found = found.enumerate().map(function, tf.data.AUTOTUNE)
    return compat.untuned(found.ignore_errors()).as_numpy_iterator()
