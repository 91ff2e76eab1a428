"""Reads size, orientation and format of an image file from its header.

It runs before any decoder sees the bytes, and uses TensorFlow operations alone,
because the exported graph reads headers too.
"""

from __future__ import annotations

import collections

import tensorflow as tf

from simclr_keras.images.formats import bmp
from simclr_keras.images.formats import contents
from simclr_keras.images.formats import gif
from simclr_keras.images.formats import orientation

# `format`: `int32`, see `contents`. `height`, `width`: `int64`, pixels as
# stored. `orientation`: `int32`, 1 to 8. `fault`: string, why the file is
# invalid, or "". `special`: string, why TensorFlow operations do not decode it,
# or "".
Header = collections.namedtuple(
    "Header", "format height width orientation fault special"
)

# Number of chunks of a WebP that are searched for EXIF.
_MAX_CHUNKS = 1000
# Bytes of a JPEG that are searched for EXIF, its first or second segment.
_EXIF_WITHIN = 2**16
_WEBP_ANIMATED, _WEBP_EXIF = 0x02, 0x08


def read(encoded: tf.Tensor, file_format: int | None = None) -> Header:
    """Reads the header of an image file.

    Args:
        encoded: string scalar, the content of the file.
        file_format: its format, see `contents`, for a graph of the operations
            of this format alone. Default None: any format.

    Returns:
        `Header` of scalars.
    """
    readers = [_jpeg, _png, gif.read_size, bmp.read_size, _webp, _unknown]
    if file_format is None:
        number = contents.format_of(encoded)
        found = tf.switch_case(
            number,
            [lambda reader=reader: reader(encoded) for reader in readers],
        )
    else:
        number = tf.constant(file_format)
        found = readers[file_format](encoded)
    height, width, exif, fault, special = found
    empty = (height < 1) | (width < 1)
    fault = tf.where(
        empty & tf.equal(fault, ""), "it does not say its size", fault
    )
    exif_orientation = orientation.read(encoded, exif)
    return Header(number, height, width, exif_orientation, fault, special)


def problem(
    header: Header, max_pixels: int | tf.Tensor, pillow: bool
) -> tf.Tensor:
    """Says why an image is refused by its header, a string scalar; or "".

    Args:
        header: see `read`.
        max_pixels: largest height times width that is decoded.
        pillow: whether Pillow decodes what TensorFlow cannot.
    """
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


def _unknown(encoded):
    del encoded
    zero = tf.constant(0, tf.int64)
    fault = "its first bytes are not those of a JPEG, PNG, GIF, BMP or WebP"
    return zero, zero, zero, tf.constant(fault), tf.constant("")


def _find(encoded, text):
    """Offset of the first occurrence of a text; without one, the length."""
    parts = tf.raw_ops.StringSplitV2(input=[encoded], sep=text, maxsplit=1)
    return contents.length(parts.values[0])


def _jpeg(encoded):
    height, width = tf.unstack(tf.io.extract_jpeg_shape(encoded)[:2])
    beginning = tf.strings.substr(encoded, 0, _EXIF_WITHIN)
    offset = _find(beginning, b"Exif\0\0")
    # The segment's marker and length, of two bytes each, precede the text.
    marker = contents.bytes_at(encoded, tf.maximum(offset - 4, 0), 2)
    has_exif = contents.equals(marker, b"\xff\xe1")
    exif = contents.select(has_exif, offset + 6, 0)
    sides = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    nothing = tf.constant("")
    return *sides, exif, nothing, nothing


def _png(encoded):
    part = contents.bytes_at(encoded, 8, 16)
    width, height = (
        contents.big_endian(part[8:12]),
        contents.big_endian(part[12:16]),
    )
    fault = tf.where(
        contents.equals(part[4:8], b"IHDR"), "", "its first chunk is not IHDR"
    )
    # Searches for the chunk's name with the first bytes of EXIF, because pixel
    # data may contain the name alone.
    exif = contents.length(encoded)
    for start in (b"II*\0", b"MM\0*"):
        exif = tf.minimum(exif, 4 + _find(encoded, b"eXIf" + start))
    exif = contents.select(exif < contents.length(encoded), exif, 0)
    return height, width, exif, fault, tf.constant("")


def _webp(encoded):
    part = contents.bytes_at(encoded, 12, 18)
    title, flags = part[:4], part[8]
    extended = contents.equals(title, b"VP8X")
    lossless = contents.equals(title, b"VP8L") & (part[8] == 0x2F)
    lossy = contents.equals(title, b"VP8 ") & contents.equals(
        part[11:14], b"\x9d\x01\x2a"
    )
    packed = contents.little_endian(part[9:13])
    sizes = [
        (
            1 + contents.little_endian(part[15:18]),
            1 + contents.little_endian(part[12:15]),
        ),
        (1 + packed // 2**14 % 2**14, 1 + packed % 2**14),
        tuple(
            contents.little_endian(part[i : i + 2]) % 2**14 for i in (16, 14)
        ),
    ]
    kinds = tf.stack([extended, lossless, lossy])
    size = tf.gather(tf.convert_to_tensor(sizes), tf.argmax(kinds))
    has_exif = extended & (flags // _WEBP_EXIF % 2 == 1)
    exif = tf.cond(
        has_exif, lambda: _webp_exif(encoded), lambda: tf.constant(0, tf.int64)
    )
    valid = tf.reduce_any(kinds)
    fault = tf.where(valid, "", "its first chunk is not that of a WebP image")
    animated = extended & (flags // _WEBP_ANIMATED % 2 == 1)
    special = tf.where(animated, "it is an animated WebP", "")
    return size[0], size[1], exif, fault, special


def _webp_exif(encoded):
    """Offset of the EXIF block of a WebP, or 0."""
    size = contents.length(encoded)

    def unfinished(offset, exif, count):
        return (exif == 0) & (offset < size) & (count < _MAX_CHUNKS)

    def next_chunk(offset, exif, count):
        part = contents.bytes_at(encoded, offset, 8)
        is_exif = contents.equals(part[:4], b"EXIF")
        exif = contents.select(is_exif, offset + 8, exif)
        length = contents.little_endian(part[4:])
        return offset + 8 + length + length % 2, exif, count + 1

    zero = tf.constant(0, tf.int64)
    start = zero + 12, zero, 0
    exif = tf.while_loop(unfinished, next_chunk, start)[1]
    # Some writers keep the prefix that the block has in a JPEG.
    named = contents.equals(contents.bytes_at(encoded, exif, 6), b"Exif\0\0")
    return contents.select((exif > 0) & named, exif + 6, exif)
