"""Reads numbers from the bytes of an image file with TensorFlow operations."""

from __future__ import annotations

import tensorflow as tf

JPEG, PNG, GIF, BMP, WEBP, UNKNOWN = range(6)
# Channels of the colour types of PNG, except palettes.
PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
# First bytes of each format, in the order of the constants above.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")


def is_plain_png(encoded: bytes) -> bool:
    """Whether bytes are a PNG whose header says how many channels it has."""
    is_png = encoded[:8] == _SIGNATURES[1] and len(encoded) > 25
    return is_png and encoded[25] in PNG_CHANNELS and b"tRNS" not in encoded


def format_of(encoded: tf.Tensor) -> tf.Tensor:
    """Identifies the format of an image file by its first bytes.

    Args:
        encoded: string scalar, the content of a file.

    Returns:
        `int32` scalar: `JPEG`, `PNG`, `GIF`, `BMP`, `WEBP` or `UNKNOWN`.
    """
    matches = [
        tf.equal(tf.strings.substr(encoded, 0, len(signature)), signature)
        for signature in _SIGNATURES
    ]
    part = bytes_at(encoded, 0, 12)
    matches.append(equals(part[:4], b"RIFF") & equals(part[8:], b"WEBP"))
    # UNKNOWN, if no other format matches.
    matches.append(tf.constant(True))
    return tf.argmax(tf.stack(matches), output_type=tf.int32)


def is_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Whether `format_of` a file is `JPEG`, `bool` scalar."""
    signature = _SIGNATURES[JPEG]
    return tf.equal(tf.strings.substr(encoded, 0, len(signature)), signature)


def bytes_at(
    encoded: tf.Tensor, start: int | tf.Tensor, count: int
) -> tf.Tensor:
    """Reads consecutive bytes of a file as numbers.

    Args:
        encoded: string scalar, the content of a file.
        start: `int64` scalar, offset of the first byte, at least 0.
        count: Python integer, number of bytes.

    Returns:
        `int64` tensor `[count]`, 0 beyond the end of the file.
    """
    start = tf.minimum(tf.cast(start, tf.int64), length(encoded))
    part = tf.strings.substr(encoded, start, tf.constant(count, tf.int64))
    values = tf.io.decode_raw(part, tf.uint8, fixed_length=count)
    return tf.cast(values, tf.int64)


def length(encoded: tf.Tensor) -> tf.Tensor:
    """Length of a file in bytes, `int64` scalar."""
    return tf.cast(tf.strings.length(encoded), tf.int64)


def big_endian(numbers: tf.Tensor) -> tf.Tensor:
    """Unsigned value of big-endian bytes `[..., count]`, `int64`."""
    return little_endian(numbers[..., ::-1])


def little_endian(numbers: tf.Tensor) -> tf.Tensor:
    """Unsigned value of little-endian bytes `[..., count]`, `int64`."""
    weights = [256**position for position in range(numbers.shape[-1])]
    return tf.reduce_sum(numbers * tf.constant(weights, tf.int64), axis=-1)


def equals(numbers: tf.Tensor, text: bytes) -> tf.Tensor:
    """Whether bytes `[len(text)]` equal a Python `bytes` constant."""
    return tf.reduce_all(tf.equal(numbers, list(text)))


def select(
    condition: tf.Tensor, yes: int | tf.Tensor, no: int | tf.Tensor
) -> tf.Tensor:
    """`tf.where` on `int64` values; either may be a Python integer."""
    return tf.where(condition, tf.cast(yes, tf.int64), tf.cast(no, tf.int64))
