"""Preprocesses images for evaluation: central crop, then bicubic resize."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.images import channels
from simclr_keras.images import checks
from simclr_keras.images import interpolation
from simclr_keras.images import value_range
from simclr_keras.images.checks import SMALL_IMAGE


def central_box(
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    target_aspect: float,
    proportion: float,
) -> tf.Tensor:
    """Largest central box of an aspect ratio, scaled by a proportion.

    Args:
        height: height of the image in pixels, integer or integer tensor.
        width: width of the image in pixels, integer or integer tensor.
        target_aspect: width / height of the box.
        proportion: side of the box as a fraction of the side of the largest
            such box, in (0, 1].

    Returns:
        `int32` tensor `[4]`: y, x, height, width in pixels.
    """
    # float32, as in the official code: converters of exported models do not
    # accept float64.
    height, width = tf.cast(height, tf.int32), tf.cast(width, tf.int32)
    tall, broad = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    wide = target_aspect > broad / tall
    box_height = tf.where(
        wide, proportion / target_aspect * broad, proportion * tall
    )
    box_width = tf.where(
        wide, proportion * broad, proportion * target_aspect * tall
    )
    box_height, box_width = (
        tf.maximum(tf.cast(tf.round(side), tf.int32), 1)
        for side in (box_height, box_width)
    )
    y = (height - box_height + 1) // 2
    x = (width - box_width + 1) // 2
    return tf.stack([y, x, box_height, box_width])


def resolve_proportion(
    crop_proportion: str | float | None, size: tuple[int, int]
) -> float | None:
    """Replaces `"auto"` by the proportion for an output size.

    Args:
        crop_proportion: "auto", a number in (0, 1], or None.
        size: (height, width) of the result in pixels.

    Returns:
        Number in (0, 1]; or None for no crop.

    Raises:
        ValueError: `crop_proportion` is something else.
    """
    if crop_proportion == "auto":
        return 0.875 if min(size) > SMALL_IMAGE else 1.0
    if crop_proportion is None:
        return None
    proportion = checks.number("crop_proportion", crop_proportion, 0.0, 1.0)
    if not proportion:
        raise ValueError(
            "`crop_proportion` must be above 0, or None for no crop."
            f" Received: crop_proportion={crop_proportion!r}"
        )
    return proportion


def central_crop(
    images: tf.Tensor,
    image_size: int | tuple[int, int],
    crop_proportion: float | None = 0.875,
    antialias: bool = False,
) -> tf.Tensor:
    """Crops the centre of equally large images and resizes it bicubically.

    The box has the aspect ratio of the result; its sides are `crop_proportion`
    times those of the largest such box. Only the pixels that contribute are
    read, so large photographs cost little, even if their size is unknown while
    the graph is built.

    Args:
        images: `[B, H, W, C]`, `uint8` in [0, 255] or float in [0, 1].
        image_size: int or (height, width) of the result in pixels.
        crop_proportion: in (0, 1]; None resizes the whole image, which may
            change its aspect ratio. Default 0.875.
        antialias: whether to widen the kernel when shrinking. Default False,
            as in the official code.

    Returns:
        `float32` tensor `[B, height, width, C]`, clipped to [0, 1].
    """
    images = tf.convert_to_tensor(images)
    value_range.check_eagerly(images)
    height, width = size = checks.size("image_size", image_size)
    uncut = crop_proportion in (None, 1.0)
    if uncut and tuple(images.shape[1:3]) == size:
        return tf.clip_by_value(interpolation.to_float32(images), 0.0, 1.0)
    shape = tf.shape(images)
    if crop_proportion is None:
        box = tf.stack([0, 0, shape[1], shape[2]])
    else:
        box = central_box(shape[1], shape[2], width / height, crop_proportion)
    images = interpolation.resize_along(
        images, 1, box[0], box[2], height, antialias
    )
    images = interpolation.resize_along(
        images, 2, box[1], box[3], width, antialias
    )
    count = channels.of(images.shape)
    images = tf.ensure_shape(images, [None, height, width, count])
    return tf.clip_by_value(images, 0.0, 1.0)


@compat.register
class CenterCrop(keras.layers.Layer):
    """Preprocesses images for evaluation and serving: central crop and resize.

    Part of the exported model, so the input size may be unknown until the
    graph runs; all images of a batch have the same size.

    Args:
        image_size: int or (height, width) of the result in pixels.
        crop_proportion: see `central_crop`. Default `"auto"`: 0.875, and 1
            for results of at most 32 pixels.
        antialias: see `central_crop`. Default False.
        **kwargs: `name` and `dtype` of the Keras layer. The work is float32
            under every policy.

    Call:
        images: `[B, H, W, C]`, `uint8` in [0, 255] or float in [0, 1].

    Returns:
        `float32` tensor `[B, height, width, C]` in [0, 1].

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> CenterCrop(image_size=224)(photos).shape
        TensorShape([8, 224, 224, 3])
    """

    def __init__(
        self,
        image_size: int | tuple[int, int],
        crop_proportion: float | str | None = "auto",
        antialias: bool = False,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = checks.size("image_size", image_size)
        self.crop_proportion = resolve_proportion(crop_proportion, self.size)
        self.antialias = checks.choice("antialias", antialias, (True, False))
        self.built = True

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the preprocessed images; see the class."""
        return central_crop(
            images, self.size, self.crop_proportion, self.antialias
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `(B, height, width, C)`."""
        return (input_shape[0], *self.size, channels.of(input_shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {
            **super().get_config(),
            "image_size": self.size,
            "crop_proportion": self.crop_proportion,
            "antialias": self.antialias,
        }
