"""Reads numbers out of the content of an image file, in a TensorFlow graph."""

import tensorflow as tf

JPEG, PNG, GIF, BMP, WEBP, UNKNOWN = range(6)
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
# First bytes of each format, in the order of the numbers above.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")


def format_of(encoded):
    """Number of the format of which some bytes have the signature.

    Args:
        encoded: string scalar, the content of a file.

    Returns:
        `int32` scalar: `JPEG`, `PNG`, `GIF`, `BMP`, `WEBP` or `UNKNOWN`.
    """
    found = [
        tf.equal(tf.strings.substr(encoded, 0, len(each)), each)
        for each in _SIGNATURES
    ]
    part = bytes_at(encoded, 0, 12)
    found.append(spells(part[:4], b"RIFF") & spells(part[8:], b"WEBP"))
    # The last is what remains where there is none.
    found.append(tf.constant(True))
    return tf.argmax(tf.stack(found), output_type=tf.int32)


def bytes_at(encoded, start, count):
    """Some bytes of a file as numbers.

    Args:
        encoded: string scalar.
        start: `int64` scalar, not negative, the number of the first byte.
        count: Python integer, how many.

    Returns:
        `int64` tensor `[count]`, 0 behind the end of the file.
    """
    start = tf.minimum(tf.cast(start, tf.int64), length(encoded))
    part = tf.strings.substr(encoded, start, tf.constant(count, tf.int64))
    found = tf.io.decode_raw(part, tf.uint8, fixed_length=count)
    return tf.cast(found, tf.int64)


def length(encoded):
    """Bytes of a file, `int64` scalar."""
    return tf.cast(tf.strings.length(encoded), tf.int64)


def big(numbers):
    """Unsigned number of big-endian bytes `[..., count]`, `int64`."""
    return little(numbers[..., ::-1])


def little(numbers):
    """Unsigned number of little-endian bytes `[..., count]`, `int64`."""
    weights = [256**place for place in range(numbers.shape[-1])]
    return tf.reduce_sum(numbers * tf.constant(weights, tf.int64), axis=-1)


def spells(numbers, text):
    """Whether bytes `[len(text)]` are those of a `bytes` constant."""
    return tf.reduce_all(tf.equal(numbers, list(text)))


def choose(condition, yes, no):
    """`tf.where` of `int64` numbers, of which any may be a Python integer."""
    return tf.where(condition, tf.cast(yes, tf.int64), tf.cast(no, tf.int64))
