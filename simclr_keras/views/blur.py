"""Blurs a batch with Gaussian kernels, one sigma per image."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras.images import checks

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


def blur_matrices(sigmas: tf.Tensor, radius: int, size: int) -> tf.Tensor:
    """Banded matrices `[B, size, size]` that blur along one axis.

    The image is padded with zeros, as in the official code, so borders darken.
    """
    pixels = tf.range(size)
    distances = tf.abs(pixels[:, None] - pixels[None, :])
    near = distances <= radius
    exponents = -0.5 / tf.square(sigmas)[:, None, None]
    taps = tf.square(tf.range(-radius, radius + 1, dtype=tf.float32))
    weights = tf.exp(exponents * tf.cast(distances * distances, tf.float32))
    total = tf.reduce_sum(tf.exp(exponents * taps), axis=2, keepdims=True)
    return tf.where(near, weights / total, 0.0)


def gaussian_blur(
    planes: list[tf.Tensor], sigmas: tf.Tensor, radius: int
) -> list[tf.Tensor]:
    """Blurs every image.

    Args:
        planes: three planes `[B, h, w]`, float32.
        sigmas: `[B]`, standard deviation in pixels, above 0.
        radius: radius of the kernel in pixels; its 2 * radius + 1 weights are
            proportional to exp(-i^2 / (2 sigma^2)) and sum to one.

    Returns:
        Three planes.
    """
    height, width = planes[0].shape[1:]
    rows = blur_matrices(sigmas, radius, height)
    columns = rows
    if width != height:
        columns = blur_matrices(sigmas, radius, width)
    # [B, h, h] x [B, h, w] x [B, w, w]
    return [rows @ plane @ columns for plane in planes]
