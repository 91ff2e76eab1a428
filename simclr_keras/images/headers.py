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

_SEGMENTS, _CHUNKS = 1000, 4096
_SEGMENT, _FILL, _BARE, _FRAME, _BAD = range(5)
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


def _marker_kinds():
    """What to do at each of JPEG's 256 markers."""
    kinds = [_SEGMENT] * 256
    kinds[0xFF] = _FILL
    for marker in (0x01, *range(0xD0, 0xD8)):
        kinds[marker] = _BARE
    for marker in (0x00, 0xD8, 0xD9, 0xDA):
        kinds[marker] = _BAD
    for marker in range(0xC0, 0xD0):
        if marker not in (0xC4, 0xC8, 0xCC):
            kinds[marker] = _FRAME
    return kinds


def _jpeg(encoded):
    kinds = tf.constant(_marker_kinds())

    def unfinished(place, exif, size, bad, count):
        return ~bad & tf.equal(size[0], 0) & (count < _SEGMENTS)

    def next_segment(place, exif, size, bad, count):
        part = contents.bytes_at(encoded, place, 10)
        kind = kinds[part[1]]
        length = contents.big(part[2:4])
        plain = (kind == _SEGMENT) | (kind == _FRAME)
        bad = (part[0] != 0xFF) | (kind == _BAD) | (plain & (length < 2))
        is_exif = (part[1] == 0xE1) & contents.spells(part[4:], b"Exif\0\0")
        exif = contents.choose(is_exif & (exif == 0), place + 10, exif)
        sides = contents.big(tf.reshape(part[5:9], [2, 2]))
        size = contents.choose(kind == _FRAME, sides, size)
        step = contents.choose(plain, 2 + length, 2)
        step = contents.choose(kind == _FILL, 1, step)
        return place + step, exif, size, bad, count + 1

    zero = tf.constant(0, tf.int64)
    state = zero + 2, zero, tf.stack([zero, zero]), tf.constant(False), 0
    _, exif, size, _, _ = tf.while_loop(unfinished, next_segment, state)
    nothing = tf.constant("")
    return size[0], size[1], exif, nothing, nothing


def _chunks(encoded, first, name, end, in_order):
    """Where the content of a chunk begins, or 0.

    Args:
        encoded: string scalar.
        first: where the first chunk begins.
        name: four `bytes`, the chunk that is searched.
        end: four `bytes`, the chunk at which the search ends.
        in_order: function of 8 bytes `[8]`: (the chunk's name `[4]`, bytes
            from its beginning to the next one).
    """
    size = contents.length(encoded)

    def unfinished(place, found, count):
        return (found == 0) & (place < size) & (count < _CHUNKS)

    def next_chunk(place, found, count):
        title, step = in_order(contents.bytes_at(encoded, place, 8))
        found = contents.choose(contents.spells(title, name), place + 8, found)
        last = contents.spells(title, end)
        return contents.choose(last, size, place + step), found, count + 1

    zero = tf.constant(0, tf.int64)
    state = zero + first, zero, 0
    return tf.while_loop(unfinished, next_chunk, state)[1]


def _png(encoded):
    part = contents.bytes_at(encoded, 8, 16)
    width, height = contents.big(part[8:12]), contents.big(part[12:16])
    fault = tf.where(
        contents.spells(part[4:8], b"IHDR"), "", "its first chunk is no IHDR"
    )
    exif = _chunks(
        encoded,
        8,
        b"eXIf",
        b"IEND",
        lambda part: (part[4:], 12 + contents.big(part[:4])),
    )
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
    def in_order(part):
        size = contents.little(part[4:])
        return part[:4], 8 + size + size % 2

    found = _chunks(encoded, 12, b"EXIF", b"none", in_order)
    # Some writers keep the name that the block has in JPEG.
    named = contents.spells(contents.bytes_at(encoded, found, 6), b"Exif\0\0")
    return contents.choose((found > 0) & named, found + 6, found)
