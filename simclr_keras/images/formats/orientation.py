"""Reads the EXIF orientation of a file and turns its pixels upright."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras.images.formats import contents

_TAG = 0x0112
_SHORT, _LONG = 3, 4
# Orientations that are mirrored left to right and upside down, after the sides
# are exchanged.
MIRRORED, FLIPPED = (2, 3, 6, 7), (3, 4, 7, 8)
# Entries of the first directory that are searched; cameras write about 20.
_ENTRIES = 256


def read(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Reads the orientation from an EXIF block.

    Args:
        encoded: string scalar, the content of a file.
        start: `int64` scalar, offset of the block's TIFF header; 0 for a file
            without EXIF.

    Returns:
        `int32` scalar from 1 to 8. It is 1 if the orientation is missing or
        damaged, which is no reason to refuse the picture.
    """
    return tf.cond(
        start > 0, lambda: _read_block(encoded, start), lambda: tf.constant(1)
    )


def _read_block(encoded, start):
    head = contents.bytes_at(encoded, start, 8)
    little_endian = contents.equals(head[:4], b"II*\0")

    def number(numbers):
        return contents.select(
            little_endian,
            contents.little_endian(numbers),
            contents.big_endian(numbers),
        )

    valid = little_endian | contents.equals(head[:4], b"MM\0*")
    directory = start + number(head[4:])
    count = number(contents.bytes_at(encoded, directory, 2))
    entries = contents.bytes_at(encoded, directory + 2, 12 * _ENTRIES)
    entries = tf.reshape(entries, [_ENTRIES, 12])
    tags, kinds = number(entries[:, :2]), number(entries[:, 2:4])
    matches = tf.equal(tags, _TAG)
    matches &= tf.range(_ENTRIES, dtype=tf.int64) < count
    matches &= tf.equal(kinds, _SHORT) | tf.equal(kinds, _LONG)
    first = tf.argmax(matches)
    entry = tf.ensure_shape(entries[first], [12])
    value = contents.select(
        tf.equal(kinds[first], _SHORT),
        number(entry[8:10]),
        number(entry[8:12]),
    )
    valid &= matches[first] & (value >= 1) & (value <= 8)
    return tf.cast(contents.select(valid, value, 1), tf.int32)


def swaps_sides(orientation: int | tf.Tensor) -> bool | tf.Tensor:
    """Whether turning upright exchanges height and width."""
    return orientation > 4


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Undoes the rotation and the mirroring of an EXIF orientation.

    Args:
        image: `[H, W, C]`.
        orientation: `int32` scalar from 1 to 8.

    Returns:
        The image as viewers show it, `[H, W, C]` or `[W, H, C]`.
    """

    def is_one_of(*values):
        return tf.reduce_any(tf.equal(orientation, values))

    def keep():
        return image

    def turn():
        transposed = tf.cond(
            swaps_sides(orientation),
            lambda: tf.transpose(image, [1, 0, 2]),
            keep,
        )
        mirrored = tf.cond(
            is_one_of(*MIRRORED),
            lambda: tf.reverse(transposed, axis=[1]),
            lambda: transposed,
        )
        return tf.cond(
            is_one_of(*FLIPPED),
            lambda: tf.reverse(mirrored, axis=[0]),
            lambda: mirrored,
        )

    return tf.cond(orientation > 1, turn, keep)
