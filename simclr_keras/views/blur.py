"""Blurs a batch with Gaussian kernels, one sigma per image."""

from __future__ import annotations

import functools

import tensorflow as tf

from simclr_keras.images import batch_parts
from simclr_keras.images import checks
from simclr_keras.images import xla

STREAMS = BLUR_STREAM, SIGMA_STREAM = 20, 21


def kernel_radius(height: int) -> int:
    """Radius of the blur kernel in pixels.

    The kernel's width is a tenth of the image's height (Chen et al. 2020, arXiv
    2002.05709, appendix A), plus one if that is even.
    """
    return height // 10 // 2


def check_probability(
    probability: float | None, size: tuple[int, int]
) -> float:
    """Checks the argument `blur_probability` of a `View`.

    Args:
        probability: in [0, 1], or None for 0.5, and 0 for small images.
        size: (height, width) of the view in pixels.

    Returns:
        The probability.

    Raises:
        ValueError: it is out of range, or above 0 for images too low to blur.
    """
    if probability is None:
        probability = 0.5 if min(size) > checks.SMALL_IMAGE else 0.0
    checked = checks.number("blur_probability", probability, 0, 1)
    if checked and not kernel_radius(size[0]):
        raise ValueError(
            "`blur_probability` must be 0 for images lower than 20 pixels:"
            " the kernel, a tenth of the height, would be one pixel."
            f" Received: blur_probability={probability!r} with"
            f" image_size={size}"
        )
    return checked


def blur_chosen(
    planes: list[tf.Tensor], chosen: tf.Tensor, sigmas: tf.Tensor, height: int
) -> list[tf.Tensor]:
    """Blurs the chosen images of a batch.

    Args:
        planes: see `gaussian_blur`.
        chosen: `bool` `[B]`.
        sigmas: see `gaussian_blur`.
        height: height of the images in pixels, which sets the kernel's width.

    Returns:
        Planes of the same shapes.
    """
    return batch_parts.apply_to_chosen(
        functools.partial(gaussian_blur, radius=kernel_radius(height)),
        planes,
        chosen,
        {"planes": planes, "sigmas": sigmas},
    )


def gaussian_blur(
    planes: list[tf.Tensor], sigmas: tf.Tensor, radius: int
) -> list[tf.Tensor]:
    """Blurs every image.

    The image is padded with zeros, as in the official code, so borders darken.

    Args:
        planes: a plane `[B, h, w]` of each channel, float32.
        sigmas: `[B]`, standard deviation in pixels, above 0.
        radius: radius of the kernel in pixels; its 2 * radius + 1 weights are
            proportional to exp(-i^2 / (2 sigma^2)) and sum to one.

    Returns:
        Planes of the same shapes.
    """
    weights = _weights(sigmas, radius)
    blurred = []
    for plane in planes:
        plane = _blur_along(plane, weights, radius, axis=1)
        # Without it, XLA recomputes the first pass for each weight of the
        # second.
        plane = xla.fusion_barrier(plane)
        blurred.append(_blur_along(plane, weights, radius, axis=2))
    return blurred


def _weights(sigmas, radius):
    """Weights of the pixels at distances 0 to `radius`: `[B, radius + 1]`."""
    distances = tf.range(radius + 1, dtype=tf.float32)
    weights = tf.exp(-0.5 * tf.square(distances / sigmas[:, None]))
    both_sides = 2.0 * tf.reduce_sum(weights, axis=1, keepdims=True)
    return weights / (both_sides - weights[:, :1])


def _blur_along(plane, weights, radius, axis):
    """Convolves `[B, h, w]` along an axis, with zeros beyond its ends.

    Pixels at equal distances share a weight, so they are added first.
    """
    size = [-1, -1, -1]
    size[axis] = plane.shape[axis]
    padding = [[0, 0], [0, 0], [0, 0]]
    padding[axis] = [radius, radius]
    padded = tf.pad(plane, padding)

    def shifted(by):
        begin = [0, 0, 0]
        begin[axis] = radius + by
        return tf.slice(padded, begin, size)

    weighted = [weights[:, :1, None] * plane]
    for i in range(1, radius + 1):
        both = shifted(-i) + shifted(i)
        weighted.append(weights[:, i, None, None] * both)
    return tf.add_n(weighted)
