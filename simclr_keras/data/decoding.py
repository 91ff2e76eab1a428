"""Encoded photographs -> RGB, whatever their format, mode and bit depth.

JPEG and PNG, nearly all photographs, are decoded by TensorFlow. All others
(BMP, GIF, WebP) go through Pillow, which also reads the palettes, compressed
bitmaps and transparent frames that TensorFlow's decoders get wrong. What
becomes RGB: grey is repeated; 16 bits lose their lower eight; palettes are
looked up; CMYK is converted; what is transparent is laid on white; of an
animation the first frame is taken.
"""

import io

import numpy as np
import tensorflow as tf

from simclr_keras.data import pixel_range as ranges

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")

_ORIENTATION_TAG = 0x0112
# JFIF and EXIF files have the EXIF segment first or behind JFIF's 18 bytes.
_EXIF_PLACES = (6, 24)
_SEGMENT_BYTES = 2**16


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
        colors, alpha = images[..., :-1], images[..., -1:]
        images = _on_white(colors.astype(np.uint16), alpha.astype(np.uint16))
        images = images.astype(np.uint8)
    if channels < 3:
        images = np.repeat(images, 3, axis=-1)
    return images


def _on_white(colors, alpha):
    return (colors * alpha + 255 * (255 - alpha) + 127) // 255


def _decode_with_pillow(encoded, upright):
    import PIL.Image
    import PIL.ImageOps

    with PIL.Image.open(io.BytesIO(encoded)) as image:
        if upright:
            image = PIL.ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            return to_rgb(np.array(image.convert("RGBA")))
        return np.array(image.convert("RGB"))


def _exif_orientation(segment):
    """EXIF orientation, 1 to 8, of the segment of that name; 1 if unsaid."""
    import PIL.Image

    exif = PIL.Image.Exif()
    try:
        exif.load(segment)
        orientation = exif.get(_ORIENTATION_TAG, 1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        orientation = 1  # A broken note is no reason to refuse the picture.
    return np.int32(orientation if orientation in range(1, 9) else 1)


def _turn_upright(image, orientation):
    """Undoes the turn and the mirroring that an EXIF orientation stands for."""

    def among(*values):
        return tf.reduce_any(tf.equal(orientation, values))

    def keep():
        return image

    image = tf.cond(
        orientation > 4, lambda: tf.transpose(image, [1, 0, 2]), keep
    )
    image = tf.cond(
        among(2, 3, 6, 7), lambda: tf.reverse(image, axis=[1]), keep
    )
    return tf.cond(among(3, 4, 7, 8), lambda: tf.reverse(image, axis=[0]), keep)


def _jpeg_orientation(encoded):
    """EXIF orientation of a JPEG; asks Python only where there is a note."""

    def read(place):
        segment = tf.strings.substr(encoded, place, _SEGMENT_BYTES)
        orientation = tf.numpy_function(
            _exif_orientation, [segment], tf.int32, stateful=False
        )
        return tf.ensure_shape(orientation, [])

    def marked(place):
        return tf.equal(tf.strings.substr(encoded, place, 4), b"Exif")

    first, second = _EXIF_PLACES
    return tf.case(
        [
            (marked(first), lambda: read(first)),
            (marked(second), lambda: read(second)),
        ],
        default=lambda: tf.constant(1),
    )


def _decode_jpeg(encoded, upright):
    # The accurate transform gives what Pillow gives, at the same speed.
    image = tf.io.decode_jpeg(
        encoded, channels=3, dct_method="INTEGER_ACCURATE"
    )
    if upright:
        image = _turn_upright(image, _jpeg_orientation(encoded))
    return image


def _jpeg_size(encoded, upright):
    size = tf.io.extract_jpeg_shape(encoded)[:2]
    if upright:
        turned = _jpeg_orientation(encoded) > 4
        size = tf.where(turned, tf.reverse(size, [0]), size)
    return size


def _decode_png(encoded, pixel_range=None):
    # Not channels=4: TensorFlow then invents alpha values for palettes.
    if pixel_range is None:
        image = tf.io.decode_png(encoded)
    else:
        # The byte of the header that says how many bits a sample has.
        deep = tf.equal(tf.strings.substr(encoded, 24, 1), b"\x10")
        image = tf.cond(
            deep,
            lambda: ranges.to_uint8(
                tf.io.decode_png(encoded, dtype=tf.uint16), pixel_range
            ),
            lambda: tf.io.decode_png(encoded),
        )
    channels = tf.shape(image)[2]

    def without_alpha():
        colors, alpha = image[..., :-1], image[..., -1:]
        colors, alpha = tf.cast(colors, tf.int32), tf.cast(alpha, tf.int32)
        return tf.cast(_on_white(colors, alpha), tf.uint8)

    image = tf.cond(channels % 2 == 0, without_alpha, lambda: image)
    return tf.broadcast_to(image, [*tf.unstack(tf.shape(image)[:2]), 3])


def _png_size(encoded):
    # The header's first chunk: width and height, big-endian.
    numbers = tf.strings.substr(encoded, 16, 8)
    return tf.io.decode_raw(numbers, tf.int32, little_endian=False)[::-1]


def _size_with_pillow(encoded, upright):
    import PIL.Image

    with PIL.Image.open(io.BytesIO(encoded)) as image:
        turned = upright and image.getexif().get(_ORIENTATION_TAG, 1) > 4
        return np.array(image.size[:: 1 if turned else -1], np.int32)


def _by_format(encoded, jpeg, png, other, dtype):
    """Chooses by the first bytes; `other` is a function of NumPy."""

    def with_pillow():
        return tf.numpy_function(other, [encoded], dtype, stateful=False)

    is_png = tf.equal(tf.strings.substr(encoded, 0, 4), b"\x89PNG")
    return tf.case(
        [(tf.io.is_jpeg(encoded), jpeg), (is_png, png)], default=with_pillow
    )


def decode(encoded, upright=False, pixel_range=None):
    """Decodes one image; an op for a `tf.data` pipeline.

    The format is told from the content, not from the file's name.

    Args:
        encoded: string scalar, the content of an image file.
        upright: turn the image as its EXIF orientation says, as viewers do.
            Default False, as in the official pipelines.
        pixel_range: pair (low, high), the values of PNG files of 16 bits that
            become 0 and 255. Default None: 0 and 65535.

    Returns:
        `uint8` tensor `[H, W, 3]`. The op fails if the image is corrupt or
        cut short.
    """
    image = _by_format(
        encoded,
        lambda: _decode_jpeg(encoded, upright),
        lambda: _decode_png(encoded, pixel_range),
        lambda encoded: _decode_with_pillow(encoded, upright),
        tf.uint8,
    )
    return tf.ensure_shape(image, [None, None, 3])


def decode_in_graph(encoded, pixel_range=None):
    """`decode` of JPEG and PNG by TensorFlow's operations alone.

    For a graph that is to run where Python is not.

    Args:
        encoded: string scalar, the content of a JPEG or PNG file.
        pixel_range: as for `decode`.

    Returns:
        `uint8` tensor `[H, W, 3]`. The op fails if the image is of another
        format, corrupt or cut short.
    """
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _decode_jpeg(encoded, upright=False),
        lambda: _decode_png(encoded, pixel_range),
    )
    return tf.ensure_shape(image, [None, None, 3])


def image_size(encoded, upright=False):
    """Height and width of what `decode` makes, read from the header only.

    Args:
        encoded: string scalar, the content of an image file.
        upright: as for `decode`.

    Returns:
        `int32` tensor `[2]`: height and width in pixels.
    """
    size = _by_format(
        encoded,
        lambda: _jpeg_size(encoded, upright),
        lambda: _png_size(encoded),
        lambda encoded: _size_with_pillow(encoded, upright),
        tf.int32,
    )
    return tf.ensure_shape(size, [2])
