"""Resizes bicubically: with four taps a pixel, or antialiased by matrices."""

from __future__ import annotations

import tensorflow as tf

# TensorFlow's bicubic kernel reads its weights from a table with this many
# fractional positions per pixel.
_POSITIONS = 1024.0


def to_float32(images: tf.Tensor) -> tf.Tensor:
    """Converts images to `float32` in [0, 1]; `uint8` is divided by 255.

    Raises:
        ValueError: the images are neither `uint8` nor floats.
    """
    images = tf.convert_to_tensor(images)
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    if images.dtype.is_floating:
        return tf.cast(images, tf.float32)
    raise ValueError(
        "`images` must be uint8 in [0, 255] or floats in [0, 1]. Received:"
        f" dtype {images.dtype.name}"
    )


def _keys_cubic(x):
    """Cubic convolution kernel with a = -0.5 (Keys 1981, equation 15)."""
    x = tf.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, tf.where(x < 2.0, far, 0.0))


def _sample_positions(lengths, size, flip):
    """Positions `[B, size]` of output pixels in the box, and the scale.

    The scale `[B, 1]` is the number of input pixels per output pixel.
    """
    scale = tf.cast(lengths, tf.float32)[:, None] / size
    positions = (tf.range(size, dtype=tf.float32) + 0.5) * scale - 0.5
    if flip is not None:
        mirrored = tf.reverse(positions, axis=[1])
        positions = tf.where(flip[:, None], mirrored, positions)
    return positions, scale


def matrices(
    starts: tf.Tensor,
    lengths: tf.Tensor,
    size: int,
    extent: int | tf.Tensor,
    flip: tf.Tensor | None = None,
) -> tf.Tensor:
    """Matrices that resize intervals of pixels with antialiasing.

    Args:
        starts: `int32` `[B]`, first pixel of the interval.
        lengths: `int32` `[B]`, length of the interval in pixels.
        size: number of output pixels.
        extent: number of pixels of the image along this axis.
        flip: `bool` `[B]`, whether to reverse the result. Default None: no
            reversals.

    Returns:
        `float32` tensor `[B, size, extent]`. Pixel centres lie at half
        integers. Where an interval shrinks, the kernel is widened by the same
        factor. Taps outside of the interval are dropped and the rest
        renormalised.
    """
    positions, scale = _sample_positions(lengths, size, flip)
    kernel_width = tf.maximum(scale, 1.0)
    pixels = tf.range(extent)[None, None, :] - starts[:, None, None]
    inside = (pixels >= 0) & (pixels < lengths[:, None, None])
    distances = tf.cast(pixels, tf.float32) - positions[:, :, None]
    weights = _keys_cubic(distances / kernel_width[:, :, None])
    weights = tf.where(inside, weights, 0.0)
    return weights / tf.reduce_sum(weights, axis=2, keepdims=True)


def taps(
    starts: tf.Tensor,
    lengths: tf.Tensor,
    size: int,
    extent: int | tf.Tensor,
    flip: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The four taps of each output pixel, for resizing without antialiasing.

    Args: those of `matrices`.

    Returns:
        `int32` tensor `[B, size, 4]`, indices of pixels of the image along
        this axis; and `float32` tensor `[B, size, 4]`, their weights.
    """
    positions, _ = _sample_positions(lengths, size, flip)
    whole = tf.floor(positions)
    fraction = tf.round((positions - whole) * _POSITIONS) / _POSITIONS
    positions = (whole + fraction)[:, :, None]
    pixels = tf.floor(positions) + tf.range(-1.0, 3.0)
    weights = _keys_cubic(pixels - positions)
    pixels = tf.cast(pixels, tf.int32)
    inside = (pixels >= 0) & (pixels < lengths[:, None, None])
    weights = tf.where(inside, weights, 0.0)
    weights /= tf.reduce_sum(weights, axis=2, keepdims=True)
    # Pixels outside of the interval have weight 0: any index in range will do.
    pixels = tf.clip_by_value(starts[:, None, None] + pixels, 0, extent - 1)
    return pixels, weights


def resize_rows(
    images: tf.Tensor, pixels: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Computes each output row as a weighted sum of four rows of the image.

    Args:
        images: `[B, H, ...]`, `uint8` or float.
        pixels: of `taps`.
        weights: of `taps`.

    Returns:
        `float32` tensor `[B, size, ...]`.
    """
    shape = [tf.shape(weights)[0], weights.shape[1]]
    shape += [1] * (images.shape.rank - 2)
    return _sum_of_taps(
        lambda tap: tf.gather(images, pixels[:, :, tap], axis=1, batch_dims=1),
        lambda tap: tf.reshape(weights[:, :, tap], shape),
    )


def _sum_of_taps(pixels_at, weights_at):
    return tf.add_n(
        [weights_at(tap) * to_float32(pixels_at(tap)) for tap in range(4)]
    )


def resize_along(
    images: tf.Tensor,
    axis: int,
    start: tf.Tensor,
    length: tf.Tensor,
    size: int,
    antialias: bool = False,
) -> tf.Tensor:
    """Resizes one interval of rows (axis 1) or columns (axis 2) of all images.

    The interval is the same for all images. Without antialiasing an output
    pixel needs four taps, and gathering these is faster than a matrix product
    over a large photograph.
    """
    extent = tf.shape(images)[axis]
    start, length = start[None], length[None]
    if antialias:
        matrix = matrices(start, length, size, extent)[0]
        equation = "sp,bpwc->bswc" if axis == 1 else "sp,bhpc->bhsc"
        return tf.einsum(equation, matrix, to_float32(images))
    pixels, weights = taps(start, length, size, extent)
    shape = [-1, 1, 1] if axis == 1 else [-1, 1]
    return _sum_of_taps(
        lambda tap: tf.gather(images, pixels[0, :, tap], axis=axis),
        lambda tap: tf.reshape(weights[0, :, tap], shape),
    )
