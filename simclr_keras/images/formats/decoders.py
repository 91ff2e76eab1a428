"""Has the decoder of each image format, and converts its pixels to RGB."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from simclr_keras.images.formats import blending
from simclr_keras.images.formats import bmp
from simclr_keras.images.formats import gif
from simclr_keras.images.formats import pixel_range as ranges

_PILLOW_FORMATS = ("BMP", "WEBP")


def in_order(
    pixel_range: tuple[float, float] | None, keep: bool, pillow: bool
) -> list[Callable[[tf.Tensor], tf.Tensor]]:
    """Functions from an encoded image to its pixels, `uint8` `[H, W, C]`.

    Args:
        pixel_range: see `decoding.decode`.
        keep: whether channels stay as they are in the file, alpha too; else
            images become RGB. GIF and BMP are RGB in any case.
        pillow: whether to add the decoder that calls Pillow.

    Returns:
        List in the order of the formats of `contents`, Pillow's at the end.
    """
    found = [
        functools.partial(_jpeg, keep=keep),
        functools.partial(_png, pixel_range=pixel_range, keep=keep),
        gif.decode,
        bmp.decode,
        functools.partial(_webp, keep=keep),
    ]
    if pillow:
        found.append(functools.partial(_with_pillow, keep=keep))
    return found


def _jpeg(encoded, keep):
    # The accurate inverse transform equals Pillow's, at the same speed.
    return tf.io.decode_jpeg(
        encoded, channels=0 if keep else 3, dct_method="INTEGER_ACCURATE"
    )


def _png(encoded, pixel_range, keep):
    # Without channels=4, because TensorFlow then invents alpha for palettes.
    convert = tf.identity if keep else _to_rgb
    if pixel_range is None:
        return convert(tf.io.decode_png(encoded))
    # Byte 24 of the header is the number of bits per sample.
    deep = tf.equal(tf.strings.substr(encoded, 24, 1), b"\x10")
    image = tf.cond(
        deep,
        lambda: ranges.to_uint8(
            tf.io.decode_png(encoded, dtype=tf.uint16), pixel_range
        ),
        lambda: tf.io.decode_png(encoded),
    )
    return convert(image)


def _webp(encoded, keep):
    # Older runtimes do not have this operation and fail with their own message.
    image = tf.raw_ops.DecodeImage(
        contents=encoded,
        channels=0,
        dtype=tf.uint8,
        expand_animations=False,
    )
    image = tf.ensure_shape(image, [None, None, None])
    return image if keep else _to_rgb(image)


def _to_rgb(image):
    """`blending.array_to_rgb` for one `uint8` image in a graph."""
    image = tf.cond(
        tf.shape(image)[2] % 2 == 0,
        lambda: blending.on_white(image[..., :-1], image[..., -1:]),
        lambda: image,
    )
    return tf.broadcast_to(image, [*tf.unstack(tf.shape(image)[:2]), 3])


def _with_pillow(encoded, keep):
    function = functools.partial(_decode_with_pillow, keep=keep)
    return tf.numpy_function(function, [encoded], tf.uint8, stateful=False)


def _decode_with_pillow(encoded, keep):
    import PIL.Image

    with PIL.Image.open(io.BytesIO(encoded), formats=_PILLOW_FORMATS) as image:
        if image.has_transparency_data:
            pixels = np.array(image.convert("RGBA"))
            return pixels if keep else blending.array_to_rgb(pixels)
        return np.array(image.convert("RGB"))
