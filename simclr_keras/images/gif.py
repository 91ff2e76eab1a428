"""Reads the first frame of a GIF in a graph.

TensorFlow's decoder would unpack every frame, of whatever size, know neither
transparency nor the canvas, and return what lay in memory where a frame is
cut short. So it is given a GIF made of the first frame alone, with a palette
in which each colour is its number, and a frame of one pixel behind it, which
it reaches only if the first one is whole.
"""

import collections

import tensorflow as tf

from simclr_keras.images import contents

_BLOCK, _FRAME, _BAD = range(3)
_SEPARATOR, _INTRODUCER, _CONTROL = 0x2C, 0x21, 0xF9
_HAS_TABLE, _INTERLACED = 0x80, 0x40
# Blocks hold up to 255 bytes; a file of many shorter ones costs time only.
_LEAST_BLOCKS, _BYTES_A_BLOCK = 1000, 128
# A table of 256 greys; and a frame of one pixel with the end of the file.
_HEAD, _GREYS = b"\xf7\0\0", bytes(i for i in range(256) for _ in range(3))
_TAIL = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0\x3b"

_Frame = collections.namedtuple(
    "_Frame", "height width place stop state transparent"
)


def read_size(encoded):
    """What `headers.read` wants to know; see `bmp.read_size`."""
    frame = _find_frame(encoded)
    fault = tf.where(frame.state == _FRAME, "", "it is cut short or damaged")
    nothing = tf.constant("")
    return frame.height, frame.width, tf.constant(0, tf.int64), fault, nothing


def _table_bytes(flags):
    size = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8)
    return contents.choose(flags >= _HAS_TABLE, size, 0)


def _find_frame(encoded):
    """The first frame, and the size of the canvas with it on."""
    size = contents.length(encoded)
    head = contents.bytes_at(encoded, 6, 5)
    # Zeros behind the end, at which every chain of blocks ends.
    raw = tf.concat(
        [tf.io.decode_raw(encoded, tf.uint8), tf.zeros(1, tf.uint8)], 0
    )
    most = _LEAST_BLOCKS + size // _BYTES_A_BLOCK

    def behind_blocks(place):
        """Behind the chain of blocks, each with its length before it."""

        def step(place):
            number = tf.cast(raw[tf.minimum(place, size)], tf.int64)
            return tf.where(number > 0, place + 1 + number, place)

        def unfinished(place, last, count):
            return (place != last) & (count < most)

        start = step(place), place, tf.constant(0, tf.int64)
        place, last, _ = tf.while_loop(
            unfinished,
            lambda place, last, count: (step(place), place, count + 1),
            start,
        )
        return contents.choose(place == last, place + 1, size + 1)

    def unfinished(place, state, transparent, count):
        return (state == _BLOCK) & (place < size) & (count < _LEAST_BLOCKS)

    def next_block(place, state, transparent, count):
        part = contents.bytes_at(encoded, place, 7)
        extends = part[0] == _INTRODUCER
        control = extends & (part[1] == _CONTROL)
        color = contents.choose(part[3] % 2 == 1, part[6], -1)
        transparent = contents.choose(control, color, transparent)
        other = contents.choose(part[0] == _SEPARATOR, _FRAME, _BAD)
        state = contents.choose(extends, _BLOCK, other)
        place = tf.cond(
            extends, lambda: behind_blocks(place + 2), lambda: place
        )
        return place, state, transparent, count + 1

    zero = tf.constant(0, tf.int64)
    start = 13 + _table_bytes(head[4]), zero + _BLOCK, zero - 1, zero
    place, state, transparent, _ = tf.while_loop(unfinished, next_block, start)
    flags = contents.bytes_at(encoded, place + 9, 1)[0]
    stop = tf.cond(
        state == _FRAME,
        lambda: behind_blocks(place + 11 + _table_bytes(flags)),
        lambda: size + 1,
    )
    state = contents.choose(stop > size, _BAD, state)
    part = contents.bytes_at(encoded, place, 10)
    left, top, width, height = (
        contents.little(part[i : i + 2]) for i in (1, 3, 5, 7)
    )
    colorless = tf.maximum(head[4], part[9]) < _HAS_TABLE
    empty = (width < 1) | (height < 1)
    state = contents.choose(colorless | empty, _BAD, state)
    return _Frame(
        tf.maximum(contents.little(head[2:4]), top + height),
        tf.maximum(contents.little(head[:2]), left + width),
        place,
        stop,
        state,
        transparent,
    )


def decode(encoded):
    """Decodes the first frame of a GIF in which `read_size` has found one.

    Returns:
        `uint8` tensor `[H, W, 3]`; white where the canvas is not covered.
    """
    frame = _find_frame(encoded)
    part = contents.bytes_at(encoded, frame.place, 10)
    own_table = part[9] >= _HAS_TABLE
    pixels = frame.place + 10 + _table_bytes(part[9])
    flags = tf.where(part[9] // _INTERLACED % 2 == 1, b"\x40", b"\0")
    sides = tf.strings.substr(encoded, frame.place + 5, 4)
    alone = tf.strings.join(
        [
            b"GIF89a",
            *(sides, _HEAD, _GREYS),
            *(b"\x2c\0\0\0\0", sides, flags),
            tf.strings.substr(encoded, pixels, frame.stop - pixels),
            _TAIL,
        ]
    )
    frames = tf.io.decode_gif(alone)
    whole = tf.debugging.Assert(
        tf.shape(frames)[0] == 2, ["The image's first frame is damaged"]
    )
    with tf.control_dependencies([whole]):
        indices = tf.cast(frames[0, :, :, 0], tf.int32)
    table = contents.choose(own_table, frame.place + 10, 13)
    palette = tf.gather(_palette(encoded, table, frame.transparent), indices)
    left, top = (contents.little(part[i : i + 2]) for i in (1, 3))
    height, width = tf.unstack(tf.shape(indices, tf.int64))
    room = [
        [top, frame.height - top - height],
        [left, frame.width - left - width],
        [0, 0],
    ]
    return tf.pad(palette, room, constant_values=255)


def _palette(encoded, table, transparent):
    """`uint8` `[256, 3]`; white where it is transparent."""
    colors = contents.bytes_at(encoded, table, 768)
    colors = tf.reshape(tf.cast(colors, tf.uint8), [256, 3])
    hidden = tf.equal(tf.range(256, dtype=tf.int64), transparent)
    return tf.where(hidden[:, None], tf.constant(255, tf.uint8), colors)
