"""Decodes image files of any format, mode and bit depth to RGB.

Training, evaluation and the exported graph use the same function. The first
bytes identify the format, and only the decoder of that format sees the rest.
Conversion to RGB: grey is repeated; 16 bits lose their lower eight; palettes
are looked up; CMYK is converted; transparent pixels are composited onto white;
an animation gives its first frame; the EXIF orientation is applied.

TensorFlow operations cannot decode animated WebP, compressed bitmaps, and, in
older releases of TensorFlow, any WebP. Pillow decodes these when Python runs;
an exported graph refuses them.
"""

from __future__ import annotations

import functools
import io

import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.choices import MAX_PIXELS
from simclr_keras.images import blending
from simclr_keras.images import bmp
from simclr_keras.images import checks
from simclr_keras.images import contents
from simclr_keras.images import gif
from simclr_keras.images import headers
from simclr_keras.images import orientation
from simclr_keras.images import pixel_range as ranges

_PILLOW_FORMATS = ("BMP", "WEBP")
# Signature of the decoding functions: encoded image, max_pixels.
_SPECS = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)
_RULE = (
    "An image must be JPEG, PNG, GIF, BMP or WebP, whole, and of at most"
    " max_pixels pixels. Received: "
)


def decode(
    encoded: tf.Tensor,
    max_pixels: int = MAX_PIXELS,
    *,
    pixel_range: tuple[float, float] | None = None,
    in_graph: bool = False,
) -> tf.Tensor:
    """Decodes an image file.

    Args:
        encoded: string scalar, the content of an image file.
        max_pixels: largest height times width to decode, checked against the
            header. Default 89,478,485, as in Pillow.
        pixel_range: pair (low, high), the values of 16-bit PNG files that
            become 0 and 255. Default None: the lower eight bits are dropped,
            so 0 and 65535.
        in_graph: whether to use TensorFlow operations alone, for a graph that
            will run without Python. Default False: Pillow decodes what
            TensorFlow cannot, and a `tf.data` pipeline calls back into one
            function that is traced once per process. Its two thousand
            operations inside the pipeline would cost seconds in every epoch.

    Returns:
        `uint8` tensor `[H, W, 3]`. The operation fails if the image is of
        another format, corrupt, cut short or too large.
    """
    max_pixels = check_max_pixels(max_pixels)
    if in_graph:
        function = _exportable(pixel_range)
        limit = tf.constant(max_pixels, tf.int64)
        return tf.ensure_shape(function(encoded, limit), [None, None, 3])
    function = _trace_once(_decode, pixel_range)
    image = _call_traced(function, encoded, max_pixels, tf.uint8)
    return tf.ensure_shape(image, [None, None, 3])


def image_size(encoded: tf.Tensor, max_pixels: int = MAX_PIXELS) -> tf.Tensor:
    """Reads the size of the image that `decode` returns from the header alone.

    Args:
        encoded: string scalar, the content of an image file.
        max_pixels: as for `decode`.

    Returns:
        `int32` tensor `[2]`: height and width in pixels. The operation fails
        if the header shows that `decode` will fail.
    """
    max_pixels = check_max_pixels(max_pixels)
    size = _call_traced(_trace_once(_image_size), encoded, max_pixels, tf.int32)
    return tf.ensure_shape(size, [2])


@functools.cache
def _trace_once(function, *arguments):
    """A function of (encoded image, max_pixels), traced once per process."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.function(
            lambda encoded, limit: function(encoded, limit, *arguments),
            autograph=False,
        ).get_concrete_function(*_SPECS)


@functools.cache
def _exportable(pixel_range):
    """`_decode` without Pillow, as a function that exported graphs call."""
    return tf.function(
        lambda encoded, limit: _decode(
            encoded, limit, pixel_range, pillow=False
        ),
        input_signature=_SPECS,
        autograph=False,
    )


def _call_traced(function, encoded, max_pixels, dtype):
    """Calls a traced function, from within a graph too."""
    if tf.executing_eagerly():
        limit = tf.constant(max_pixels, tf.int64)
        return function(tf.convert_to_tensor(encoded), limit)

    def call(encoded):
        limit = tf.constant(max_pixels, tf.int64)
        try:
            return function(tf.constant(encoded), limit).numpy()
        except tf.errors.OpError as error:
            # TensorFlow turns this into an InvalidArgumentError.
            raise ValueError(error.message) from None

    return tf.numpy_function(call, [encoded], dtype, stateful=False)


def _decode(encoded, max_pixels, pixel_range, pillow=True):
    header, encoded = _check_header(encoded, max_pixels, pillow)
    png = functools.partial(_png, pixel_range=pixel_range)
    decoders = [_jpeg, png, gif.decode, bmp.decode, _webp]
    number = header.format
    if pillow:
        decoders.append(_with_pillow)
        special = _needs_pillow(header)
        number = tf.where(special, len(decoders) - 1, number)
    image = tf.switch_case(
        number,
        [lambda decoder=decoder: decoder(encoded) for decoder in decoders],
    )
    image = tf.ensure_shape(image, [None, None, 3])
    image = orientation.turn_upright(image, header.orientation)
    return tf.ensure_shape(image, [None, None, 3])


def _image_size(encoded, max_pixels):
    header, _ = _check_header(encoded, max_pixels, pillow=True)
    size = tf.cast(tf.stack([header.height, header.width]), tf.int32)
    swapped = orientation.swaps_sides(header.orientation)
    return tf.where(swapped, size[::-1], size)


def problem(encoded: bytes, max_pixels: int = MAX_PIXELS) -> str:
    """Says why `decode` refuses an image.

    Args:
        encoded: `bytes`, the content of an image file.
        max_pixels: as for `decode`.

    Returns:
        String such as "it is a GIF cut short".
    """
    try:
        header = headers.read(tf.constant(encoded))
        text = _problem(header, max_pixels, pillow=True).numpy().decode()
    except tf.errors.OpError:
        text = ""  # the header is right: a decoder failed
    return text or "it is corrupt or cut short"


def check_max_pixels(max_pixels: int) -> int:
    """Returns `max_pixels` if it is a positive whole number.

    Raises:
        ValueError: it is something else.
    """
    checks.number("max_pixels", max_pixels, 1)
    if max_pixels != int(max_pixels):
        raise ValueError(
            "`max_pixels` must be a whole number of pixels. Received:"
            f" max_pixels={max_pixels!r}"
        )
    return int(max_pixels)


def _problem(header, max_pixels, pillow):
    # The sides are clipped first: their product may overflow 64 bits.
    limit = tf.convert_to_tensor(max_pixels, tf.int64)
    sides = header.height, header.width
    pixels = tf.minimum(sides[0], limit + 1) * tf.minimum(sides[1], limit + 1)
    height, width = map(tf.strings.as_string, sides)
    large = tf.strings.join(
        [
            *("it has ", height, " x ", width, " pixels, max_pixels="),
            tf.strings.as_string(limit),
        ]
    )
    text = header.fault
    if not pillow:
        text = tf.where(tf.equal(text, ""), header.special, text)
    return tf.where(tf.equal(text, "") & (pixels > limit), large, text)


def _check_header(encoded, max_pixels, pillow):
    """Returns the header and the content, which fail if the header is bad.

    Both depend on the check, so that no decoder runs before it.
    """
    header = headers.read(encoded)
    text = _problem(header, max_pixels, pillow)
    message = tf.strings.join([_RULE, text])
    check = tf.debugging.Assert(tf.equal(text, ""), [message])
    with tf.control_dependencies([check]):
        return headers.Header(*map(tf.identity, header)), tf.identity(encoded)


def _needs_pillow(header):
    special = tf.not_equal(header.special, "")
    if not compat.DECODES_WEBP:
        special |= tf.equal(header.format, contents.WEBP)
    return special


def _jpeg(encoded):
    # The accurate inverse transform equals Pillow's, at the same speed.
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def _png(encoded, pixel_range):
    # Without channels=4, because TensorFlow then invents alpha for palettes.
    if pixel_range is None:
        return _to_rgb(tf.io.decode_png(encoded))
    # Byte 24 of the header is the number of bits per sample.
    deep = tf.equal(tf.strings.substr(encoded, 24, 1), b"\x10")
    image = tf.cond(
        deep,
        lambda: ranges.to_uint8(
            tf.io.decode_png(encoded, dtype=tf.uint16), pixel_range
        ),
        lambda: tf.io.decode_png(encoded),
    )
    return _to_rgb(image)


def _webp(encoded):
    # Older runtimes do not have this operation and fail with their own message.
    image = tf.raw_ops.DecodeImage(
        contents=encoded,
        channels=0,
        dtype=tf.uint8,
        expand_animations=False,
    )
    return _to_rgb(tf.ensure_shape(image, [None, None, None]))


def _to_rgb(image):
    """`blending.array_to_rgb` for one `uint8` image in a graph."""
    image = tf.cond(
        tf.shape(image)[2] % 2 == 0,
        lambda: blending.on_white(image[..., :-1], image[..., -1:]),
        lambda: image,
    )
    return tf.broadcast_to(image, [*tf.unstack(tf.shape(image)[:2]), 3])


def _with_pillow(encoded):
    return tf.numpy_function(
        _decode_with_pillow, [encoded], tf.uint8, stateful=False
    )


def _decode_with_pillow(encoded):
    import PIL.Image

    with PIL.Image.open(io.BytesIO(encoded), formats=_PILLOW_FORMATS) as image:
        if image.has_transparency_data:
            return blending.array_to_rgb(np.array(image.convert("RGBA")))
        return np.array(image.convert("RGB"))
