"""Implements augmentations for ablations that SimCLR's recipe does not use.

The paper's figure 5 compares them with crop, colour and blur. Each is a pure
function of images `[B, h, w, C]` in [0, 1] and of seeds.
"""

from __future__ import annotations

import tensorflow as tf

from simclr_keras import randomness
from simclr_keras.images import xla

CUTOUT_STREAM, ROTATION_STREAM, NOISE_STREAM = 30, 31, 32


def cutout(
    images: tf.Tensor, seeds: tf.Tensor, size: float = 0.5, fill: float = 0.5
) -> tf.Tensor:
    """Covers a square of each image with grey.

    Args:
        images: `[B, h, w, C]` in [0, 1].
        seeds: `uint32` `[B, 2]`.
        size: side of the square as a fraction of the shorter side of the
            image. Default 0.5.
        fill: value of the covered pixels. Default 0.5, mid-grey.

    Returns:
        Images. The square's centre is uniform over the image, so the square
        may cross the border (DeVries and Taylor 2017, arXiv 1708.04552).
    """
    height, width = images.shape[1:3]
    side = round(size * min(height, width))
    centres = randomness.uniforms(seeds, 2, CUTOUT_STREAM)
    centres = xla.fusion_barrier(centres)

    def is_covered(centre, extent):
        start = tf.floor(centre * extent) - side // 2
        distance = tf.range(extent, dtype=tf.float32) - start[:, None]
        return (distance >= 0) & (distance < side)

    rows = is_covered(centres[:, 0], height)[:, :, None, None]
    columns = is_covered(centres[:, 1], width)[:, None, :, None]
    return tf.where(rows & columns, fill, images)


def rotation(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """Rotates each image by 0, 90, 180 or 270 degrees, equally likely."""
    return rotate(images, quarter_turns(seeds))


def quarter_turns(seeds: tf.Tensor) -> tf.Tensor:
    """Draws the quarter turns of `rotation`: `int32` `[B]`, 0 to 3."""
    turns = randomness.uniforms(seeds, 1, ROTATION_STREAM)
    return tf.cast(4.0 * xla.fusion_barrier(turns), tf.int32)[:, 0]


def rotate(images: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Rotates each square image by its number of quarter turns `[B]`."""
    turns = turns[:, None, None, None]
    half = tf.reverse(images, axis=[1, 2])
    images = tf.where(turns >= 2, half, images)
    quarter = tf.reverse(tf.transpose(images, [0, 2, 1, 3]), axis=[1])
    return tf.where(turns % 2 == 1, quarter, images)


def noise(
    images: tf.Tensor, seeds: tf.Tensor, stddev: float = 0.1
) -> tf.Tensor:
    """Adds Gaussian noise, independent for each pixel and channel."""
    height, width, channels = images.shape[1:]
    count = height * width * channels
    normals = randomness.normals(seeds, count, NOISE_STREAM)
    return images + stddev * tf.reshape(normals, tf.shape(images))


def sobel(images: tf.Tensor, seeds: tf.Tensor | None = None) -> tf.Tensor:
    """Replaces each channel by the magnitude of its gradient.

    Uses Sobel's two masks, divided by 4 so that a step from 0 to 1 gives 1.
    """
    del seeds
    edges = tf.image.sobel_edges(images)
    return tf.sqrt(tf.reduce_sum(tf.square(edges / 4.0), axis=-1))


BY_NAME = {
    "cutout": cutout,
    "rotation": rotation,
    "noise": noise,
    "sobel": sobel,
}
