"""Decodes the first frame of a GIF with TensorFlow operations alone.

TensorFlow's decoder unpacks every frame, whatever its size, ignores
transparency and the canvas, and returns uninitialised memory for a truncated
frame. It therefore gets a new GIF of the first frame alone, whose palette maps
each index to itself, followed by a frame of one pixel, which the decoder
reaches only if the first frame is complete.
"""

from __future__ import annotations

import collections

import tensorflow as tf

from simclr_keras.images.formats import contents

_BLOCK, _FRAME, _BAD = range(3)
_SEPARATOR, _INTRODUCER, _CONTROL = 0x2C, 0x21, 0xF9
_HAS_TABLE, _INTERLACED = 0x80, 0x40
# A chain may have _LEAST_BLOCKS blocks, plus one per _BYTES_PER_BLOCK bytes of
# the file. Blocks hold up to 255 bytes; the limit stops files made of very many
# shorter ones.
_LEAST_BLOCKS, _BYTES_PER_BLOCK = 1000, 128
# Header with a table of 256 greys; frame of one pixel with the end of the file.
_HEAD, _GREYS = b"\xf7\0\0", bytes(i for i in range(256) for _ in range(3))
_TAIL = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0\x3b"

_Frame = collections.namedtuple(
    "_Frame", "height width offset stop state transparent"
)


def read_size(
    encoded: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Reads the size and the faults of a GIF, as `bmp.read_size` does."""
    frame = _find_frame(encoded)
    fault = tf.where(frame.state == _FRAME, "", "it is cut short or damaged")
    no_exif, nothing = tf.constant(0, tf.int64), tf.constant("")
    return frame.height, frame.width, no_exif, fault, nothing


def _table_bytes(flags):
    size = 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8)
    return contents.select(flags >= _HAS_TABLE, size, 0)


def _find_frame(encoded):
    """Finds the first frame, and enlarges the canvas to contain it."""
    size = contents.length(encoded)
    head = contents.bytes_at(encoded, 6, 5)
    # The zero appended to the file ends every chain of blocks.
    raw = tf.concat(
        [tf.io.decode_raw(encoded, tf.uint8), tf.zeros(1, tf.uint8)], 0
    )
    max_blocks = _LEAST_BLOCKS + size // _BYTES_PER_BLOCK

    def skip_blocks(offset):
        """Offset after a chain of blocks, each preceded by its length."""

        def step(offset):
            length = tf.cast(raw[tf.minimum(offset, size)], tf.int64)
            return tf.where(length > 0, offset + 1 + length, offset)

        def unfinished(offset, last, count):
            return (offset != last) & (count < max_blocks)

        start = step(offset), offset, tf.constant(0, tf.int64)
        offset, last, _ = tf.while_loop(
            unfinished,
            lambda offset, last, count: (step(offset), offset, count + 1),
            start,
        )
        return contents.select(offset == last, offset + 1, size + 1)

    def unfinished(offset, state, transparent, count):
        return (state == _BLOCK) & (offset < size) & (count < _LEAST_BLOCKS)

    def next_block(offset, state, transparent, count):
        part = contents.bytes_at(encoded, offset, 7)
        extends = part[0] == _INTRODUCER
        control = extends & (part[1] == _CONTROL)
        color = contents.select(part[3] % 2 == 1, part[6], -1)
        transparent = contents.select(control, color, transparent)
        other = contents.select(part[0] == _SEPARATOR, _FRAME, _BAD)
        state = contents.select(extends, _BLOCK, other)
        offset = tf.cond(
            extends, lambda: skip_blocks(offset + 2), lambda: offset
        )
        return offset, state, transparent, count + 1

    zero = tf.constant(0, tf.int64)
    start = 13 + _table_bytes(head[4]), zero + _BLOCK, zero - 1, zero
    offset, state, transparent, _ = tf.while_loop(unfinished, next_block, start)
    flags = contents.bytes_at(encoded, offset + 9, 1)[0]
    stop = tf.cond(
        state == _FRAME,
        lambda: skip_blocks(offset + 11 + _table_bytes(flags)),
        lambda: size + 1,
    )
    state = contents.select(stop > size, _BAD, state)
    part = contents.bytes_at(encoded, offset, 10)
    left, top, width, height = (
        contents.little_endian(part[i : i + 2]) for i in (1, 3, 5, 7)
    )
    colorless = tf.maximum(head[4], part[9]) < _HAS_TABLE
    empty = (width < 1) | (height < 1)
    state = contents.select(colorless | empty, _BAD, state)
    return _Frame(
        tf.maximum(contents.little_endian(head[2:4]), top + height),
        tf.maximum(contents.little_endian(head[:2]), left + width),
        offset,
        stop,
        state,
        transparent,
    )


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes the first frame of a GIF in which `read_size` found no fault.

    Args:
        encoded: string scalar, the content of the file.

    Returns:
        `uint8` tensor `[H, W, 3]`; white where the frame does not cover the
        canvas.
    """
    frame = _find_frame(encoded)
    part = contents.bytes_at(encoded, frame.offset, 10)
    has_local_table = part[9] >= _HAS_TABLE
    pixels = frame.offset + 10 + _table_bytes(part[9])
    flags = tf.where(part[9] // _INTERLACED % 2 == 1, b"\x40", b"\0")
    sides = tf.strings.substr(encoded, frame.offset + 5, 4)
    one_frame = tf.strings.join(
        [
            b"GIF89a",
            *(sides, _HEAD, _GREYS),
            *(b"\x2c\0\0\0\0", sides, flags),
            tf.strings.substr(encoded, pixels, frame.stop - pixels),
            _TAIL,
        ]
    )
    frames = tf.io.decode_gif(one_frame)
    whole = tf.debugging.Assert(
        tf.shape(frames)[0] == 2, ["The image's first frame is damaged"]
    )
    with tf.control_dependencies([whole]):
        indices = tf.cast(frames[0, :, :, 0], tf.int32)
    table = contents.select(has_local_table, frame.offset + 10, 13)
    pixels = tf.gather(_palette(encoded, table, frame.transparent), indices)
    left, top = (contents.little_endian(part[i : i + 2]) for i in (1, 3))
    height, width = tf.unstack(tf.shape(indices, tf.int64))
    margins = [
        [top, frame.height - top - height],
        [left, frame.width - left - width],
        [0, 0],
    ]
    return tf.pad(pixels, margins, constant_values=255)


def _palette(encoded, table, transparent):
    """Colours `[256, 3]`, `uint8`, of a table; the transparent one is white."""
    colors = contents.bytes_at(encoded, table, 768)
    colors = tf.reshape(tf.cast(colors, tf.uint8), [256, 3])
    hidden = tf.equal(tf.range(256, dtype=tf.int64), transparent)
    return tf.where(hidden[:, None], tf.constant(255, tf.uint8), colors)
