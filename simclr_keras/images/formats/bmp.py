"""Decodes BMP files with TensorFlow operations alone.

TensorFlow's own BMP decoder supports few kinds and reads palettes as grey. This
one supports 1, 4 or 8 bits with a palette, and 16, 24 or 32 bits with or
without channel masks. Compressed bitmaps are left to Pillow.
"""

from __future__ import annotations

import collections

import tensorflow as tf

from simclr_keras.images.formats import blending
from simclr_keras.images.formats import contents

_CORE, _INFO = 12, 40
_HEADERS = (_CORE, _INFO, 52, 56, 108, 124)
_PLAIN, _MASKS = 0, 3
_DEPTHS = (1, 4, 8, 16, 24, 32)
# No picture has a longer side, and the size in bytes of one with longer sides
# can overflow 64 bits.
_LARGEST_SIDE = 2**24
# Masks of red, green, blue and alpha in 16 bits if the file states none.
_DEFAULT_MASKS = (0x7C00, 0x03E0, 0x001F, 0)

_Layout = collections.namedtuple(
    "_Layout", "start height width bottom_up depth core palette colors masks"
)


def read_size(
    encoded: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Reads the size and the faults of a bitmap, for `headers.read`.

    Args:
        encoded: string scalar, the content of the file.

    Returns:
        Height and width in pixels; offset of the EXIF block (0: a bitmap has
        none); why the file is invalid, or ""; why TensorFlow operations do not
        decode it, or "".
    """
    layout, fault, special = _read(encoded)
    no_exif = tf.constant(0, tf.int64)
    return layout.height, layout.width, no_exif, fault, special


def _read(encoded):
    header_bytes = contents.bytes_at(encoded, 0, 70)

    def number(offset, size=4):
        return contents.little_endian(header_bytes[offset : offset + size])

    header = number(14)
    core = tf.equal(header, _CORE)
    width = contents.select(core, number(18, 2), number(18))
    height = contents.select(core, number(20, 2), number(22))
    bottom_up = height < 2**31
    height = contents.select(bottom_up, height, 2**32 - height)
    depth = contents.select(core, number(24, 2), number(28, 2))
    packing = contents.select(core, _PLAIN, number(30))
    has_masks = tf.equal(packing, _MASKS)
    file_masks = [number(54), number(58), number(62), number(66)]
    file_masks[3] = contents.select(header >= 56, file_masks[3], 0)
    masks = contents.select(has_masks, tf.stack(file_masks), _DEFAULT_MASKS)
    # Masks follow a header of 40 bytes, and are part of longer headers.
    mask_bytes = contents.select(has_masks & (header == _INFO), 12, 0)
    colors = contents.select(
        core | (number(46) == 0), 2 ** tf.minimum(depth, 8), 0
    )
    colors = contents.select(colors > 0, colors, number(46))
    layout = _Layout(
        start=number(10),
        height=height,
        width=width,
        bottom_up=bottom_up,
        depth=depth,
        core=core,
        palette=14 + header + mask_bytes,
        colors=colors,
        masks=masks,
    )
    supported = _is_one_of(header, _HEADERS) & _is_one_of(depth, _DEPTHS)
    supported &= (packing == _PLAIN) | (has_masks & _is_one_of(depth, (16, 32)))
    needed = layout.start + height * _row_bytes(layout)
    large = tf.maximum(width, height) > _LARGEST_SIDE
    short = supported & ~large & (contents.length(encoded) < needed)
    fault = tf.where(large, "its height or width is impossibly large", "")
    fault = tf.where(short, "it is cut short", fault)
    special = tf.where(
        supported, "", "it is a bitmap of a rare or compressed kind"
    )
    return layout, fault, special


def _is_one_of(value, numbers):
    return tf.reduce_any(tf.equal(value, tf.constant(numbers, tf.int64)))


def _row_bytes(layout):
    return (layout.width * layout.depth + 31) // 32 * 4


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a bitmap in which `read_size` found no fault.

    Args:
        encoded: string scalar, the content of the file.

    Returns:
        `uint8` tensor `[H, W, 3]`.
    """
    layout, _, _ = _read(encoded)
    row = _row_bytes(layout)
    rows = tf.strings.substr(encoded, layout.start, layout.height * row)
    rows = tf.io.decode_raw(rows, tf.uint8)
    rows = tf.reshape(rows, [layout.height, row])
    has_palette = layout.depth <= 8
    plain = (layout.depth == 24) | (
        (layout.depth == 32) & tf.equal(layout.masks[0], _DEFAULT_MASKS[0])
    )
    image = tf.case(
        [
            (has_palette, lambda: _palette_pixels(encoded, layout, rows)),
            (plain, lambda: _byte_pixels(layout, rows)),
        ],
        default=lambda: _masked_pixels(layout, rows),
    )
    return tf.cond(
        layout.bottom_up, lambda: tf.reverse(image, [0]), lambda: image
    )


def _palette_pixels(encoded, layout, rows):
    """Pixels whose values are indices into a palette."""
    entry = tf.where(layout.core, 3, 4)
    colors = contents.bytes_at(encoded, layout.palette, 4 * 256)
    # The file stores blue, green, red.
    offsets = tf.range(256)[:, None] * entry + [2, 1, 0]
    colors = tf.gather(colors, offsets)
    in_palette = tf.range(256, dtype=tf.int64)[:, None] < layout.colors
    palette = tf.cast(contents.select(in_palette, colors, 0), tf.uint8)
    depth = tf.cast(layout.depth, tf.int32)
    shifts = 8 - depth * (1 + tf.range(8 // depth))
    indices = tf.bitwise.right_shift(rows[..., None], tf.cast(shifts, tf.uint8))
    indices = tf.bitwise.bitwise_and(indices, tf.cast(2**depth - 1, tf.uint8))
    indices = tf.reshape(indices, [layout.height, -1])[:, : layout.width]
    return tf.gather(palette, tf.cast(indices, tf.int32))


def _byte_pixels(layout, rows):
    """Pixels with one byte a channel."""
    pixel = layout.depth // 8
    pixels = rows[:, : pixel * layout.width]
    pixels = tf.reshape(pixels, [layout.height, layout.width, pixel])
    return tf.reverse(pixels[..., :3], [2])


def _masked_pixels(layout, rows):
    """Pixels whose channels are bit fields, described by masks."""
    pixel = layout.depth // 8
    pixels = tf.reshape(
        rows[:, : pixel * layout.width], [layout.height, layout.width, pixel]
    )
    missing = [[0, 0], [0, 0], [0, 4 - pixel]]
    pixels = tf.ensure_shape(tf.pad(pixels, missing), [None, None, 4])
    pixels = contents.little_endian(tf.cast(pixels, tf.int64))
    channels = []
    for mask in tf.unstack(layout.masks):
        lowest = tf.maximum(tf.bitwise.bitwise_and(mask, -mask), 1)
        largest = tf.maximum(mask // lowest, 1)
        value = tf.bitwise.bitwise_and(pixels, mask) // lowest
        channels.append(value * 255 // largest)
    colors = tf.cast(tf.stack(channels[:3], axis=-1), tf.uint8)
    alpha = tf.cast(channels[3][..., None], tf.uint8)
    return tf.cond(
        layout.masks[3] > 0,
        lambda: blending.on_white(colors, alpha),
        lambda: colors,
    )
