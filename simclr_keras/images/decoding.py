"""Content of an image file -> RGB, whatever its format, mode and bit depth.

One function for training, evaluation and the exported graph. The format is
told from the first bytes, and only the decoder of that format sees the rest.
What becomes RGB: grey is repeated; 16 bits lose their lower eight; palettes
are looked up; CMYK is converted; what is transparent is laid on white; of an
animation the first frame is taken; the picture is turned upright as its EXIF
orientation says.

Few kinds are beyond TensorFlow's operations: animated WebP, compressed
bitmaps, and all WebP on older TensorFlow. Where there is Python, Pillow
decodes them; an exported graph refuses them.
"""

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
# Of the encoded image, and of max_pixels.
_SPECS = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)
_RULE = (
    "An image must be JPEG, PNG, GIF, BMP or WebP, whole, and of at most"
    " max_pixels pixels. Received: "
)


def to_rgb(images):
    """Arrays `[..., H, W, C]` with 1 to 4 channels -> `uint8` RGB.

    Args:
        images: `uint8`; `uint16`, whose lower byte is dropped; or float in
            [0, 1]. One channel is grey, two are grey and alpha, four are RGB
            and alpha; what is transparent is laid on white.

    Returns:
        `uint8` array `[..., H, W, 3]`.
    """
    if images.dtype == np.uint16:
        images = (images >> 8).astype(np.uint8)
    elif images.dtype != np.uint8:
        images = np.round(images * 255.0).astype(np.uint8)
    channels = images.shape[-1]
    if channels in (2, 4):
        images = blending.on_white(images[..., :-1], images[..., -1:])
    if channels < 3:
        images = np.repeat(images, 3, axis=-1)
    return images


def decode(encoded, max_pixels=MAX_PIXELS, *, pixel_range=None, in_graph=False):
    """Decodes one image.

    Args:
        encoded: string scalar, the content of an image file.
        max_pixels: largest height times width that is decoded, checked by the
            header. Default 89,478,485, as in Pillow.
        pixel_range: pair (low, high), the values of PNG files of 16 bits that
            become 0 and 255. Default None: 0 and 65535, of which the lower
            eight bits are dropped.
        in_graph: only by operations of TensorFlow, for a graph that is to run
            where Python is not. Default False: Pillow decodes what TensorFlow
            cannot, and a `tf.data` pipeline calls a function that the process
            traces once, where the decoders' two thousand operations would
            cost it seconds in every epoch.

    Returns:
        `uint8` tensor `[H, W, 3]`. The op fails if the image is of another
        format, corrupt, cut short or too large.
    """
    max_pixels = check_max_pixels(max_pixels)
    if in_graph:
        function, most = (
            _exported(pixel_range),
            tf.constant(max_pixels, tf.int64),
        )
        return tf.ensure_shape(function(encoded, most), [None, None, 3])
    function = _traced(_decode, pixel_range)
    image = _called(function, encoded, max_pixels, tf.uint8)
    return tf.ensure_shape(image, [None, None, 3])


def image_size(encoded, max_pixels=MAX_PIXELS):
    """Height and width of what `decode` makes, read from the header only.

    Args:
        encoded: string scalar, the content of an image file.
        max_pixels: as for `decode`.

    Returns:
        `int32` tensor `[2]`: height and width in pixels. The op fails where
        the header already says that `decode` will.
    """
    max_pixels = check_max_pixels(max_pixels)
    size = _called(_traced(_image_size), encoded, max_pixels, tf.int32)
    return tf.ensure_shape(size, [2])


@functools.cache
def _traced(function, *arguments):
    """A function of (encoded image, max_pixels), traced once in a process."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.function(
            lambda encoded, most: function(encoded, most, *arguments),
            autograph=False,
        ).get_concrete_function(*_SPECS)


@functools.cache
def _exported(pixel_range):
    """The same for graphs that leave the process; each takes it over."""
    return tf.function(
        lambda encoded, most: _decode(encoded, most, pixel_range, pillow=False),
        input_signature=_SPECS,
        autograph=False,
    )


def _called(function, encoded, max_pixels, dtype):
    """What a traced function gives, also within a graph."""
    if tf.executing_eagerly():
        most = tf.constant(max_pixels, tf.int64)
        return function(tf.convert_to_tensor(encoded), most)

    def call(encoded):
        most = tf.constant(max_pixels, tf.int64)
        try:
            return function(tf.constant(encoded), most).numpy()
        except tf.errors.OpError as error:
            # As TensorFlow passes it on: an invalid argument.
            raise ValueError(error.message) from None

    return tf.numpy_function(call, [encoded], dtype, stateful=False)


def _decode(encoded, max_pixels, pixel_range, pillow=True):
    header, encoded = _checked(encoded, max_pixels, pillow)
    png = functools.partial(_png, pixel_range=pixel_range)
    by_format = [_jpeg, png, gif.decode, bmp.decode, _webp]
    number = header.format
    if pillow:
        by_format.append(_with_pillow)
        special = _is_special(header)
        number = tf.where(special, len(by_format) - 1, number)
    image = tf.switch_case(
        number, [lambda each=each: each(encoded) for each in by_format]
    )
    image = tf.ensure_shape(image, [None, None, 3])
    image = orientation.turn_upright(image, header.orientation)
    return tf.ensure_shape(image, [None, None, 3])


def _image_size(encoded, max_pixels):
    header, _ = _checked(encoded, max_pixels, pillow=True)
    size = tf.cast(tf.stack([header.height, header.width]), tf.int32)
    turned = orientation.swaps_sides(header.orientation)
    return tf.where(turned, size[::-1], size)


def problem(encoded, max_pixels=MAX_PIXELS):
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
        text = ""  # said by no header, but by a decoder
    return text or "it is corrupt or cut short"


def check_max_pixels(max_pixels):
    """Returns a bound on pixels if it is a positive integer."""
    checks.number("max_pixels", max_pixels, 1)
    if max_pixels != int(max_pixels):
        raise ValueError(
            "`max_pixels` must be a whole number of pixels. Received:"
            f" max_pixels={max_pixels!r}"
        )
    return int(max_pixels)


def _problem(header, max_pixels, pillow):
    # Each side first: their product may not fit 64 bits.
    most = tf.convert_to_tensor(max_pixels, tf.int64)
    sides = header.height, header.width
    pixels = tf.minimum(sides[0], most + 1) * tf.minimum(sides[1], most + 1)
    height, width = map(tf.strings.as_string, sides)
    large = tf.strings.join(
        [
            *("it has ", height, " x ", width, " pixels, max_pixels="),
            tf.strings.as_string(most),
        ]
    )
    text = header.fault
    if not pillow:
        text = tf.where(tf.equal(text, ""), header.special, text)
    return tf.where(tf.equal(text, "") & (pixels > most), large, text)


def _checked(encoded, max_pixels, pillow):
    """The header, and the content behind the check that both are right."""
    header = headers.read(encoded)
    text = _problem(header, max_pixels, pillow)
    message = tf.strings.join([_RULE, text])
    right = tf.debugging.Assert(tf.equal(text, ""), [message])
    with tf.control_dependencies([] if right is None else [right]):
        return headers.Header(*map(tf.identity, header)), tf.identity(encoded)


def _is_special(header):
    special = tf.not_equal(header.special, "")
    if not compat.DECODES_WEBP:
        special |= tf.equal(header.format, contents.WEBP)
    return special


def _jpeg(encoded):
    # The accurate transform gives what Pillow gives, at the same speed.
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def _png(encoded, pixel_range):
    # Not channels=4: TensorFlow then invents alpha values for palettes.
    if pixel_range is None:
        return _to_rgb(tf.io.decode_png(encoded))
    # The byte of the header that says how many bits a sample has.
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
    # Known only to newer runtimes: others fail with their own message.
    image = tf.raw_ops.DecodeImage(
        contents=encoded,
        channels=0,
        dtype=tf.uint8,
        expand_animations=False,
    )
    return _to_rgb(tf.ensure_shape(image, [None, None, None]))


def _to_rgb(image):
    """`to_rgb` of one `uint8` image in a graph."""
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
            return to_rgb(np.array(image.convert("RGBA")))
        return np.array(image.convert("RGB"))
