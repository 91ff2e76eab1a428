"""Crops, resizes and flips a batch, first along rows, then along columns.

Every image of a batch has its own crop box, yet the indices and weights of its
interpolation have static shapes, so XLA compiles everything for CPU, GPU and
TPU.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from simclr_keras.images import batch_parts
from simclr_keras.images import channels
from simclr_keras.images import checks
from simclr_keras.images import interpolation
from simclr_keras.images import xla


def crop_to_planes(
    images: tf.Tensor,
    boxes: tf.Tensor,
    size: int | tuple[int, int],
    flip: tf.Tensor | None = None,
    antialias: bool = False,
) -> list[tf.Tensor]:
    """`crop_and_resize` that returns a plane `[B, h, w]` of each channel."""
    height, width = checks.size("size", size)
    resize = _by_matrices if antialias else _by_taps
    plane = tf.zeros([tf.shape(images)[0], height, width])
    return batch_parts.apply_to_chosen(
        functools.partial(resize, size=(height, width)),
        [plane] * channels.of(images.shape),
        None,
        {"images": images, "boxes": boxes, "flip": flip},
    )


def _by_taps(images, boxes, flip, size):
    """Resizes along one axis, then the other, with four taps a pixel."""
    shape = tf.shape(images)
    rows = interpolation.taps(boxes[:, 0], boxes[:, 2], size[0], shape[1])
    columns = interpolation.taps(
        boxes[:, 1], boxes[:, 3], size[1], shape[2], flip
    )
    images = interpolation.resize_rows(images, *rows)
    # Without it, XLA computes the rows again for each tap of the columns.
    images = xla.fusion_barrier(images)
    images = tf.transpose(images, [0, 2, 1, 3])  # [B, W, h, C]
    images = interpolation.resize_rows(images, *columns)
    return tf.unstack(tf.transpose(images, [3, 0, 2, 1]))


def _by_matrices(images, boxes, flip, size):
    """Resizes with matrix products, because antialiased pixels have many taps.

    One product is along the rows, one along the columns.
    """
    images = interpolation.to_float32(images)
    shape, count = tf.shape(images), channels.of(images.shape)
    rows = interpolation.matrices(boxes[:, 0], boxes[:, 2], size[0], shape[1])
    columns = interpolation.matrices(
        boxes[:, 1], boxes[:, 3], size[1], shape[2], flip
    )
    # [b, h, H] x [b, H, W * C] -> [b, h, W * C]
    images = tf.reshape(images, [shape[0], shape[1], shape[2] * count])
    images = tf.reshape(rows @ images, [shape[0], size[0], shape[2], count])
    # [b, C * h, W] x [b, W, w] -> [b, C * h, w]
    images = tf.transpose(images, [0, 3, 1, 2])
    images = tf.reshape(images, [shape[0], count * size[0], shape[2]])
    images = tf.matmul(images, columns, transpose_b=True)
    return tf.unstack(tf.reshape(images, [-1, count, *size]), axis=1)


def crop_and_resize(
    images: tf.Tensor,
    boxes: tf.Tensor,
    size: int | tuple[int, int],
    flip: tf.Tensor | None = None,
    antialias: bool = False,
) -> tf.Tensor:
    """Crops one box from each image and resizes it bicubically.

    Uses Keys' cubic kernel with half-pixel centres, and equals
    `tf.image.resize` of the cropped box. The result is not clipped and may
    overshoot [0, 1].

    Args:
        images: `[B, H, W, C]`, `uint8` or float.
        boxes: `int32` `[B, 4]`: y, x, height, width in pixels.
        size: int or (height, width) of the result in pixels.
        flip: `bool` `[B]`, whether to mirror an image left to right. Default
            None: no flips.
        antialias: whether to widen the kernel when shrinking. Default False,
            as in the official code.

    Returns:
        `float32` tensor `[B, height, width, C]`.
    """
    planes = crop_to_planes(images, boxes, size, flip, antialias)
    return tf.stack(planes, axis=-1)


def crop_and_resize_one(
    image: tf.Tensor,
    box: tf.Tensor,
    size: int | tuple[int, int],
    antialias: bool = False,
) -> tf.Tensor:
    """`crop_and_resize` of one image of any size, for the input pipeline.

    The result is the same, but this does not use XLA, which would have to know
    the size of every photograph.

    Args:
        image: `[H, W, C]`, `uint8` or float.
        box: `int32` `[4]`: y, x, height, width in pixels.
        size: int or (height, width) of the result in pixels.
        antialias: whether to widen the kernel when shrinking. Default False.

    Returns:
        `float32` tensor `[height, width, C]`, not clipped.
    """
    size = checks.size("size", size)
    image = image[box[0] : box[0] + box[2], box[1] : box[1] + box[3]]
    image = tf.image.resize(
        interpolation.to_float32(image),
        size,
        method="bicubic",
        antialias=antialias,
    )
    return tf.ensure_shape(image, [*size, channels.of(image.shape)])


def flip_planes(planes: list[tf.Tensor], flip: tf.Tensor) -> list[tf.Tensor]:
    """Mirrors the images for which `flip` `[B]` is true."""
    flip = flip[:, None, None]
    return [tf.where(flip, tf.reverse(p, axis=[2]), p) for p in planes]
