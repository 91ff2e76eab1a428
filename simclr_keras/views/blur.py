"""Blurs a batch with Gaussian kernels, one sigma per image."""

import tensorflow as tf

STREAMS = BLUR_STREAM, SIGMA_STREAM = 20, 21


def kernel_radius(height):
    """Radius of the blur kernel in pixels.

    The kernel's width is a tenth of the image's height (Chen et al. 2020, arXiv
    2002.05709, appendix A), plus one if that is even.
    """
    return height // 10 // 2


def blur_matrices(sigmas, radius, size):
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


def gaussian_blur(planes, sigmas, radius):
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
