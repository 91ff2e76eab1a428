"""EXIF orientation: read from the bytes, undone on the pixels."""

import tensorflow as tf

from simclr_keras.images import contents

_TAG = 0x0112
_SHORT, _LONG = 3, 4
# Entries of the first directory that are looked at; cameras write about 20.
_ENTRIES = 256


def read(encoded, start):
    """The orientation that a block of EXIF states.

    Args:
        encoded: string scalar, the content of a file.
        start: `int64` scalar, where the block's TIFF header begins; 0: the
            file has none.

    Returns:
        `int32` scalar from 1 to 8. What is broken or unsaid is 1: no reason
        to refuse the picture.
    """
    return tf.cond(
        start > 0, lambda: _stated(encoded, start), lambda: tf.constant(1)
    )


def _stated(encoded, start):
    head = contents.bytes_at(encoded, start, 8)
    swapped = contents.spells(head[:4], b"II*\0")

    def number(numbers):
        return contents.choose(
            swapped, contents.little(numbers), contents.big(numbers)
        )

    known = swapped | contents.spells(head[:4], b"MM\0*")
    directory = start + number(head[4:])
    count = number(contents.bytes_at(encoded, directory, 2))
    entries = contents.bytes_at(encoded, directory + 2, 12 * _ENTRIES)
    entries = tf.reshape(entries, [_ENTRIES, 12])
    tags, kinds = number(entries[:, :2]), number(entries[:, 2:4])
    wanted = tf.equal(tags, _TAG)
    wanted &= tf.range(_ENTRIES, dtype=tf.int64) < count
    wanted &= tf.equal(kinds, _SHORT) | tf.equal(kinds, _LONG)
    first = tf.argmax(wanted)
    entry = tf.ensure_shape(entries[first], [12])
    value = contents.choose(
        tf.equal(kinds[first], _SHORT),
        number(entry[8:10]),
        number(entry[8:12]),
    )
    stated = known & wanted[first] & (value >= 1) & (value <= 8)
    return tf.cast(contents.choose(stated, value, 1), tf.int32)


def swaps_sides(orientation):
    """Whether undoing an orientation makes the height the width."""
    return orientation > 4


def turn_upright(image, orientation):
    """Undoes the turn and the mirroring that an orientation stands for.

    Args:
        image: `[H, W, 3]`.
        orientation: `int32` scalar from 1 to 8.

    Returns:
        The image as viewers show it, `[H, W, 3]` or `[W, H, 3]`.
    """

    def among(*values):
        return tf.reduce_any(tf.equal(orientation, values))

    def keep():
        return image

    def turned():
        turned = tf.cond(
            swaps_sides(orientation),
            lambda: tf.transpose(image, [1, 0, 2]),
            keep,
        )
        mirrored = tf.cond(
            among(2, 3, 6, 7),
            lambda: tf.reverse(turned, axis=[1]),
            lambda: turned,
        )
        return tf.cond(
            among(3, 4, 7, 8),
            lambda: tf.reverse(mirrored, axis=[0]),
            lambda: mirrored,
        )

    return tf.cond(orientation > 1, turned, keep)
