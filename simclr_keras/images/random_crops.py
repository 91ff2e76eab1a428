"""Draws the random crop boxes of images, on the device and on the host."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from simclr_keras import randomness
from simclr_keras.choices import CROP_SAMPLERS as SAMPLERS
from simclr_keras.images import checks

CROP_STREAM, FLIP_STREAM = 0, 1
# The official sampler's crops must cover this fraction of the image, whatever
# `area` is: `min_object_covered`, with the whole image as the object.
MIN_COVERED = 0.1

_TRIES_PER_ROUND = 10
_TRIES = {"official": 100, "torchvision": 10}


def check_crops(
    area: tuple[float, float], aspect: tuple[float, float], sampler: str
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Checks and returns the `area` and `aspect` of `sample_crops`.

    Raises:
        ValueError: a range or the sampler is not allowed.
    """
    checks.choice("crop_sampler", sampler, SAMPLERS)
    area = checks.interval("crop_area", area, high=1.0)
    if sampler == "official" and area[1] <= MIN_COVERED:
        raise ValueError(
            "`crop_area` must reach above 0.1 with the official sampler, which"
            " rejects every smaller crop; use crop_sampler='torchvision'."
            f" Received: crop_area={area!r}"
        )
    return area, checks.interval("crop_aspect", aspect)


@dataclasses.dataclass(frozen=True)
class Crops:
    """How the random crops of one view are drawn and resized.

    Attributes:
        area: see `sample_crops`.
        aspect: see `sample_crops`.
        sampler: see `sample_crops`.
        antialias: whether to widen the bicubic kernel when shrinking.

    Raises:
        ValueError: a range or the sampler is not allowed.
    """

    area: tuple = (0.08, 1.0)
    aspect: tuple = (3 / 4, 4 / 3)
    sampler: str = "official"
    antialias: bool = False

    def __post_init__(self):
        area, aspect = check_crops(self.area, self.aspect, self.sampler)
        checks.choice("antialias", self.antialias, (True, False))
        object.__setattr__(self, "area", area)
        object.__setattr__(self, "aspect", aspect)


def _official_tries(u, heights, widths, area, aspect):
    """Draws boxes as `tf.image.sample_distorted_bounding_box` does.

    Returns the boxes, and which of them are valid.
    """
    low, high = area[0] * heights * widths, area[1] * heights * widths
    ratio = aspect[0] + (aspect[1] - aspect[0]) * u[0]
    smallest = tf.round(tf.sqrt(low / ratio))
    largest = tf.round(tf.sqrt(high / ratio))
    largest = tf.where(
        tf.round(largest * ratio) > widths,
        tf.floor((widths + 0.5 - 1e-7) / ratio),
        largest,
    )
    largest = tf.minimum(largest, heights)
    smallest = tf.minimum(smallest, largest)
    height = smallest + tf.floor(u[1] * (largest - smallest + 1.0))
    # Rounding may put the area out of its range by one row: correct that.
    small = height * tf.round(height * ratio) < low
    height = tf.where(small, height + 1.0, height)
    large = height * tf.round(height * ratio) > high
    height = tf.where(large, height - 1.0, height)
    width = tf.round(height * ratio)
    pixels = height * width
    valid = (pixels >= low) & (pixels <= high)
    valid &= pixels >= MIN_COVERED * heights * widths
    # As in TensorFlow's sampler, the last possible offset is never drawn.
    y = tf.floor(u[2] * (heights - height))
    x = tf.floor(u[3] * (widths - width))
    return (y, x, height, width), valid


def _torchvision_tries(u, heights, widths, area, aspect):
    """Draws boxes as torchvision's RandomResizedCrop does.

    Returns the boxes; all count as valid if they lie inside the image.
    """
    pixels = heights * widths * (area[0] + (area[1] - area[0]) * u[0])
    low, high = math.log(aspect[0]), math.log(aspect[1])
    ratio = tf.exp(low + (high - low) * u[1])
    height = tf.round(tf.sqrt(pixels / ratio))
    width = tf.round(tf.sqrt(pixels * ratio))
    y = tf.floor(u[2] * (heights - height + 1.0))
    x = tf.floor(u[3] * (widths - width + 1.0))
    return (y, x, height, width), tf.fill(tf.shape(height), True)


def _torchvision_fallback(heights, widths, aspect):
    """Largest central box whose aspect ratio lies in the range."""
    width = tf.minimum(widths, tf.round(heights * aspect[1]))
    height = tf.minimum(heights, tf.round(widths / aspect[0]))
    y = tf.floor((heights - height) / 2.0)
    x = tf.floor((widths - width) / 2.0)
    return tf.concat([y, x, height, width], axis=1)


def sample_crops(
    seeds: tf.Tensor,
    heights: int | tf.Tensor,
    widths: int | tf.Tensor,
    target_aspect: float = 1.0,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    sampler: str = "official",
) -> tf.Tensor:
    """Draws one random crop box per image.

    Args:
        seeds: `uint32` tensor `[B, 2]` of `randomness.stateless_seeds`.
        heights: height of the images in pixels, scalar or `[B]`.
        widths: width of the images in pixels, scalar or `[B]`.
        target_aspect: width / height of the image that the box is resized to;
            `aspect` is relative to it. Default 1.
        area: bounds of the box's area as a fraction of the image's. Default
            0.08 to 1.
        aspect: bounds of the box's width / height. Default 3/4 to 4/3.
        sampler: `"official"` (default) is TensorFlow's sampler, as the official
            SimCLR code uses it: aspect uniform; height uniform over the values
            that area and aspect allow, so area is not uniform; at least a tenth
            of the image; the whole image after 100 rejections. `"torchvision"`:
            area uniform, aspect log-uniform, the largest central box of an
            allowed aspect after 10 rejections.

    Returns:
        `int32` tensor `[B, 4]`: y, x, height, width in pixels.

    Raises:
        ValueError: a range or the sampler is not allowed.

    Reference:
        Chen et al. 2020 (arXiv 2002.05709), appendix A, "Random crop and
        resize to 224x224".
    """
    area, aspect = check_crops(area, aspect, sampler)
    aspect = tuple(target_aspect * x for x in aspect)
    seeds = randomness.random_bits(seeds, 2, CROP_STREAM)
    batch = tf.shape(seeds)[0]
    heights, widths = (
        tf.broadcast_to(tf.reshape(tf.cast(x, tf.float32), [-1, 1]), [batch, 1])
        for x in (heights, widths)
    )
    if sampler == "official":
        draw, zeros = _official_tries, tf.zeros_like(heights)
        boxes = tf.concat([zeros, zeros, heights, widths], axis=1)
    else:
        draw = _torchvision_tries
        boxes = _torchvision_fallback(heights, widths, aspect)

    def unfinished(tried, has_box, boxes):
        return (tried < _TRIES[sampler]) & ~tf.reduce_all(has_box)

    def more_tries(tried, has_box, boxes):
        u = randomness.uniforms(seeds, 4 * _TRIES_PER_ROUND, stream=tried)
        u = tf.split(u, 4, axis=1)
        tries, valid = draw(u, heights, widths, area, aspect)
        valid &= (tries[2] > 0) & (tries[2] <= heights)
        valid &= (tries[3] > 0) & (tries[3] <= widths)
        first = tf.argmax(tf.cast(valid, tf.int32), axis=1)
        box = tf.gather(tf.stack(tries, -1), first, axis=1, batch_dims=1)
        is_new = ~has_box & tf.reduce_any(valid, axis=1)
        boxes = tf.where(is_new[:, None], box, boxes)
        return tried + _TRIES_PER_ROUND, has_box | is_new, boxes

    state = tf.constant(0), tf.fill([batch], False), boxes
    _, _, boxes = tf.while_loop(unfinished, more_tries, state)
    return tf.cast(boxes, tf.int32)
