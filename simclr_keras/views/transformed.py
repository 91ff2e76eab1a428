"""Applies random transformations that a classifier learns to recognise."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras import randomness
from simclr_keras.choices import TRANSFORMATIONS
from simclr_keras.images import interpolation
from simclr_keras.views import ablations
from simclr_keras.views import appended
from simclr_keras.views import color

# The next number after the streams of `ablations`.
CHOICE_STREAM = 33


def transform(
    images: tf.Tensor, seeds: tf.Tensor, name: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Transforms each image or leaves it as it is, all equally likely.

    Args:
        images: square, `[B, S, S, C]`, `uint8` in [0, 255] or float in [0, 1].
        seeds: `uint32` `[B, 2]` of `randomness.stateless_seeds`.
        name: "gray", "noise" or "sobel", applied with probability 1/2; or
            "rotation", by 0, 90, 180 or 270 degrees.

    Returns:
        Pair of the images, `float32` `[B, S, S, C]` in [0, 1], and their
        labels, `int64` `[B]`: the number of quarter turns; for the other
        transformations 1 if it was applied, else 0. Both are a pure function
        of images and seeds.

    Raises:
        ValueError: there is no such transformation; or it is "gray", and the
            images do not have three channels.

    References:
        Chen et al. 2020 (arXiv 2002.05709), table 3.
    """
    if name not in TRANSFORMATIONS:
        raise ValueError(
            f"`name` must be one of {', '.join(TRANSFORMATIONS)}. Received:"
            f" {name!r}"
        )
    images = tf.clip_by_value(interpolation.to_float32(images), 0.0, 1.0)
    if name == "rotation":
        turns = ablations.quarter_turns(seeds)
        return ablations.rotate(images, turns), tf.cast(turns, tf.int64)
    if name == "gray":
        check_gray(images.shape[-1])
        planes = color.grayscale(tf.unstack(images, axis=-1))
        others = tf.stack(planes, axis=-1)
    else:
        others = appended.apply([name], images, seeds)
    changed = randomness.uniforms(seeds, 1, CHOICE_STREAM)[:, 0] < 0.5
    images = tf.where(changed[:, None, None, None], others, images)
    return images, tf.cast(changed, tf.int64)


def check_gray(channels: int) -> None:
    """Raises a ValueError unless images have three channels."""
    if channels != 3:
        raise ValueError(
            "the transformation 'gray' is for images of three channels, RGB."
            f" Received: images of channels={channels}"
        )
