"""Takes the pixels of images as their features: the simplest baseline."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras.models import pixels


def pixel_features(images: tf.Tensor, channels: int = 3) -> tf.Tensor:
    """Returns pixels as features: the baseline that any encoder must beat.

    Can be used as an encoder: `extract(pixel_features, dataset)`, for other
    channels `extract(functools.partial(pixel_features, channels=13), ...)`.

    Args:
        images: `[B, H, W, C]`, uint8 in [0, 255] or float in [0, 1].
        channels: C; for 3, grey and alpha are converted to RGB. Defaults to 3.

    Returns:
        float32 tensor `[B, H * W * C]`, in [0, 1].
    """
    images = tf.cast(pixels.to_float(images, channels), tf.float32)
    # The width must be static; reshaping to [B, -1] would make it unknown if
    # the batch size is.
    width = images.shape[1:].num_elements()
    if width is None:
        raise ValueError(
            "images must all have one known size to be compared pixel by"
            " pixel; resize them first (CenterCrop). Received: shape"
            f" {images.shape}"
        )
    return tf.reshape(images, [-1, width])
