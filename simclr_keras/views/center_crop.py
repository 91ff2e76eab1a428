"""Evaluation preprocessing: central crop and bicubic resize, no randomness."""

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.views import checks
from simclr_keras.views import interpolation
from simclr_keras.views import value_range
from simclr_keras.views.checks import SMALL_IMAGE


def central_box(height, width, target_aspect, proportion):
    """Largest central box of an aspect, scaled by a proportion.

    Args:
        height: height of the image in pixels, integer or integer tensor.
        width: likewise its width.
        target_aspect: width / height of the box.
        proportion: how much of the largest such box is kept, in (0, 1].

    Returns:
        `int32` tensor `[4]`: y, x, height, width in pixels.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    wide = target_aspect > width / height
    box_height = tf.where(
        wide, proportion / target_aspect * width, proportion * height
    )
    box_width = tf.where(
        wide, proportion * width, proportion * target_aspect * height
    )
    box_height = tf.maximum(tf.round(box_height), 1.0)
    box_width = tf.maximum(tf.round(box_width), 1.0)
    y = tf.floor((height - box_height + 1.0) / 2.0)
    x = tf.floor((width - box_width + 1.0) / 2.0)
    return tf.cast(tf.stack([y, x, box_height, box_width]), tf.int32)


def central_crop(images, image_size, crop_proportion=0.875, antialias=False):
    """Central crop of images of one size, resized bicubically.

    The box has the aspect of the result and the given part of the largest
    such box. Only the pixels that count are read, so that large photographs
    cost little, also where their size is not known when the graph is made.

    Args:
        images: `[B, H, W, 3]`, `uint8` in [0, 255] or float in [0, 1].
        image_size: int or (height, width) of the result in pixels.
        crop_proportion: in (0, 1]; None resizes without a crop (and returns
            images of the right size as they are). Default 0.875.
        antialias: widen the kernel when shrinking. Default False, as in the
            official code.

    Returns:
        `float32` tensor `[B, height, width, 3]`, clipped to [0, 1].
    """
    images = tf.convert_to_tensor(images)
    value_range.check_eagerly(images)
    height, width = size = checks.size("image_size", image_size)
    if crop_proportion is None and tuple(images.shape[1:3]) == size:
        return tf.clip_by_value(interpolation.to_float(images), 0.0, 1.0)
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
    images = tf.ensure_shape(images, [None, height, width, 3])
    return tf.clip_by_value(images, 0.0, 1.0)


@compat.register
class CenterCrop(keras.layers.Layer):
    """Preprocessing of images that are to be recognised, not augmented.

    Part of the exported model: takes images of any size, known only when they
    come (all images of a batch have one).

    Args:
        image_size: int or (height, width) of the result in pixels.
        crop_proportion: see `central_crop`. Default `"auto"`: 0.875, and None
            for results of at most 32 pixels.
        antialias: see `central_crop`. Default False.
        **kwargs: `name` and `dtype` of the Keras layer. The work is float32
            under every policy.

    Call:
        images: `[B, H, W, 3]`, `uint8` in [0, 255] or float in [0, 1].

    Returns:
        `float32` tensor `[B, height, width, 3]` in [0, 1].

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> CenterCrop(image_size=224)(photos).shape
        TensorShape([8, 224, 224, 3])
    """

    def __init__(
        self,
        image_size,
        crop_proportion="auto",
        antialias=False,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = checks.size("image_size", image_size)
        if crop_proportion == "auto":
            crop_proportion = 0.875 if min(self.size) > SMALL_IMAGE else None
        if crop_proportion is not None:
            checks.number("crop_proportion", crop_proportion, 0.0, 1.0)
            if not crop_proportion:
                raise ValueError(
                    "`crop_proportion` must be above 0, or None for no crop."
                    f" Received: crop_proportion={crop_proportion!r}"
                )
        self.crop_proportion = crop_proportion
        self.antialias = checks.choice("antialias", antialias, (True, False))
        self.built = True

    def call(self, images):
        """Returns the preprocessed images; see the class."""
        return central_crop(
            images, self.size, self.crop_proportion, self.antialias
        )

    def compute_output_shape(self, input_shape):
        """Returns `(B, height, width, 3)`."""
        return (input_shape[0], *self.size, 3)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "image_size": self.size,
            "crop_proportion": self.crop_proportion,
            "antialias": self.antialias,
        }
