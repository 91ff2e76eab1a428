"""Crops, resizes and flips a batch by two matrix products per image.

Every image of a batch has its own crop box, yet the interpolation matrices have
static shapes, so XLA compiles everything for CPU, GPU and TPU.
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from simclr_keras import randomness
from simclr_keras.choices import CROP_SAMPLERS as SAMPLERS
from simclr_keras.images import checks
from simclr_keras.images import interpolation

CROP_STREAM, FLIP_STREAM = 0, 1
# A crop of the official sampler must cover this part of the image, whatever
# `area` says (its `min_object_covered`, with the whole image as the object).
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
    """Boxes of TensorFlow's distorted bounding box sampler; which are valid."""
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
    """Boxes of torchvision's RandomResizedCrop; which are valid."""
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


def crop_to_planes(
    images: tf.Tensor,
    boxes: tf.Tensor,
    size: tuple[int, int],
    flip: tf.Tensor | None = None,
    antialias: bool = False,
) -> list[tf.Tensor]:
    """`crop_and_resize` that returns three colour planes `[B, h, w]`."""
    images = interpolation.to_float32(images)
    height, width = checks.size("size", size)
    shape = tf.shape(images)
    rows = interpolation.matrices(
        boxes[:, 0], boxes[:, 2], height, shape[1], None, antialias
    )
    columns = interpolation.matrices(
        boxes[:, 1], boxes[:, 3], width, shape[2], flip, antialias
    )
    # [B, h, H] x [B, H, W * 3] -> [B, h, W * 3]
    images = tf.reshape(images, [shape[0], shape[1], shape[2] * 3])
    images = tf.reshape(rows @ images, [shape[0], height, shape[2], 3])
    # [B, 3 * h, W] x [B, W, w] -> [B, 3 * h, w]
    images = tf.transpose(images, [0, 3, 1, 2])
    images = tf.reshape(images, [shape[0], 3 * height, shape[2]])
    images = tf.matmul(images, columns, transpose_b=True)
    return tf.unstack(tf.reshape(images, [-1, 3, height, width]), axis=1)


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
        images: `[B, H, W, 3]`, `uint8` or float.
        boxes: `int32` `[B, 4]`: y, x, height, width in pixels.
        size: int or (height, width) of the result in pixels.
        flip: `bool` `[B]`, whether to mirror an image left to right. Default
            None: no flips.
        antialias: whether to widen the kernel when shrinking. Default False,
            as in the official code.

    Returns:
        `float32` tensor `[B, height, width, 3]`.
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

    On the host this is cheaper than interpolation matrices as large as the
    photograph, and gives the same numbers. XLA does not compile it.

    Args:
        image: `[H, W, 3]`, `uint8` or float.
        box: `int32` `[4]`: y, x, height, width in pixels.
        size: int or (height, width) of the result in pixels.
        antialias: whether to widen the kernel when shrinking. Default False.

    Returns:
        `float32` tensor `[height, width, 3]`, not clipped.
    """
    size = checks.size("size", size)
    image = image[box[0] : box[0] + box[2], box[1] : box[1] + box[3]]
    image = tf.image.resize(
        interpolation.to_float32(image),
        size,
        method="bicubic",
        antialias=antialias,
    )
    return tf.ensure_shape(image, [*size, 3])


def flip_planes(planes: list[tf.Tensor], flip: tf.Tensor) -> list[tf.Tensor]:
    """Mirrors the images for which `flip` `[B]` is true."""
    flip = flip[:, None, None]
    return [tf.where(flip, tf.reverse(p, axis=[2]), p) for p in planes]
