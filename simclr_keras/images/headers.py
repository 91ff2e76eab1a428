"""Size, orientation and kind of an encoded image, read from its header.

By operations of TensorFlow alone: the exported graph reads them too. No
decoder sees the bytes before.
"""

import collections

import tensorflow as tf

from simclr_keras.images import bmp
from simclr_keras.images import contents
from simclr_keras.images import gif
from simclr_keras.images import orientation

# `format`: `int32`, see `contents`. `height`, `width`: `int64`, pixels as
# stored. `orientation`: `int32`, 1 to 8. `fault`: string, why it is no image,
# or "". `special`: string, why TensorFlow's operations do not decode it, or "".
Header = collections.namedtuple(
    "Header", "format height width orientation fault special"
)

_CHUNKS = 1000
# Bytes of a JPEG in which its EXIF begins: it comes first or second.
_EXIF_WITHIN = 2**16
_WEBP_ANIMATED, _WEBP_EXIF = 0x02, 0x08


def read(encoded):
    """Reads the header of an image file.

    Args:
        encoded: string scalar, the content of the file.

    Returns:
        `Header` of scalars.
    """
    number = contents.format_of(encoded)
    readers = [_jpeg, _png, gif.read_size, bmp.read_size, _webp, _unknown]
    height, width, exif, fault, special = tf.switch_case(
        number, [lambda reader=reader: reader(encoded) for reader in readers]
    )
    empty = (height < 1) | (width < 1)
    fault = tf.where(
        empty & tf.equal(fault, ""), "it does not say its size", fault
    )
    turned = orientation.read(encoded, exif)
    return Header(number, height, width, turned, fault, special)


def _unknown(encoded):
    del encoded
    zero = tf.constant(0, tf.int64)
    fault = "it is no JPEG, PNG, GIF, BMP or WebP by its first bytes"
    return zero, zero, zero, tf.constant(fault), tf.constant("")


def _found(encoded, text):
    """Where a text first stands, or the length of what is searched."""
    parts = tf.raw_ops.StringSplitV2(input=[encoded], sep=text, maxsplit=1)
    return contents.length(parts.values[0])


def _jpeg(encoded):
    height, width = tf.unstack(tf.io.extract_jpeg_shape(encoded)[:2])
    beginning = tf.strings.substr(encoded, 0, _EXIF_WITHIN)
    place = _found(beginning, b"Exif\0\0")
    # Behind a segment's marker, of which two bytes are its length.
    marker = contents.bytes_at(encoded, tf.maximum(place - 4, 0), 2)
    there = contents.spells(marker, b"\xff\xe1")
    exif = contents.choose(there, place + 6, 0)
    sides = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    nothing = tf.constant("")
    return *sides, exif, nothing, nothing


def _png(encoded):
    part = contents.bytes_at(encoded, 8, 16)
    width, height = contents.big(part[8:12]), contents.big(part[12:16])
    fault = tf.where(
        contents.spells(part[4:8], b"IHDR"), "", "its first chunk is no IHDR"
    )
    # With what EXIF begins with, for the name alone may stand in the pixels.
    exif = contents.length(encoded)
    for start in (b"II*\0", b"MM\0*"):
        exif = tf.minimum(exif, 4 + _found(encoded, b"eXIf" + start))
    exif = contents.choose(exif < contents.length(encoded), exif, 0)
    return height, width, exif, fault, tf.constant("")


def _webp(encoded):
    part = contents.bytes_at(encoded, 12, 18)
    title, flags = part[:4], part[8]
    extended = contents.spells(title, b"VP8X")
    lossless = contents.spells(title, b"VP8L") & (part[8] == 0x2F)
    lossy = contents.spells(title, b"VP8 ") & contents.spells(
        part[11:14], b"\x9d\x01\x2a"
    )
    packed = contents.little(part[9:13])
    sizes = [
        (1 + contents.little(part[15:18]), 1 + contents.little(part[12:15])),
        (1 + packed // 2**14 % 2**14, 1 + packed % 2**14),
        tuple(contents.little(part[i : i + 2]) % 2**14 for i in (16, 14)),
    ]
    kinds = tf.stack([extended, lossless, lossy])
    size = tf.gather(tf.convert_to_tensor(sizes), tf.argmax(kinds))
    noted = extended & (flags // _WEBP_EXIF % 2 == 1)
    exif = tf.cond(
        noted, lambda: _webp_exif(encoded), lambda: tf.constant(0, tf.int64)
    )
    known = tf.reduce_any(kinds)
    fault = tf.where(known, "", "it is no image that WebP knows")
    animated = extended & (flags // _WEBP_ANIMATED % 2 == 1)
    special = tf.where(animated, "it is an animated WebP", "")
    return size[0], size[1], exif, fault, special


def _webp_exif(encoded):
    """Where the EXIF of a WebP begins, or 0."""
    size = contents.length(encoded)

    def unfinished(place, found, count):
        return (found == 0) & (place < size) & (count < _CHUNKS)

    def next_chunk(place, found, count):
        part = contents.bytes_at(encoded, place, 8)
        wanted = contents.spells(part[:4], b"EXIF")
        found = contents.choose(wanted, place + 8, found)
        length = contents.little(part[4:])
        return place + 8 + length + length % 2, found, count + 1

    zero = tf.constant(0, tf.int64)
    start = zero + 12, zero, 0
    found = tf.while_loop(unfinished, next_chunk, start)[1]
    # Some writers keep the name that the block has in JPEG.
    named = contents.spells(contents.bytes_at(encoded, found, 6), b"Exif\0\0")
    return contents.choose((found > 0) & named, found + 6, found)
