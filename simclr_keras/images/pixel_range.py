"""The range of values that images of more than 8 bits use, stated or told."""

import dataclasses

import numpy as np
import tensorflow as tf

from simclr_keras import paths

_WHOLE = (0, 65535)
# Images that are looked at, evenly spread over a source.
_SAMPLE = 64
# A camera's 10, 12 or 14 bits, as one would state them.
_TOPS = (1023, 4095, 16383)
_STATE = "Command line: --pixel_range={0},{1}; Python: pixel_range=({0}, {1})"


def check(value):
    """Returns the pair (low, high) of a stated range, or None.

    Raises:
        ValueError: it is no pair of numbers with low < high.
    """
    if value is None:
        return None
    try:
        low, high = (float(x) for x in value)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if isinstance(value, str) or not (
        np.isfinite([low, high]).all() and low < high
    ):
        raise ValueError(
            "pixel_range must be a pair (low, high) of numbers with low < high:"
            " the values that are black and white. Received:"
            f" pixel_range={value!r}"
        )
    return low, high


def to_uint8(images, pixel_range):
    """Values of a range as 8 bits; what lies outside is clipped.

    Args:
        images: array or tensor of numbers.
        pixel_range: pair (low, high), which become 0 and 255.

    Returns:
        The same as `uint8`.
    """
    low, high = pixel_range
    if not tf.is_tensor(images):
        scaled = (images.astype(np.float64) - low) * (255.0 / (high - low))
        return np.clip(np.round(scaled), 0, 255).astype(np.uint8)
    scaled = (tf.cast(images, tf.float32) - low) * (255.0 / (high - low))
    return tf.cast(tf.clip_by_value(tf.round(scaled), 0, 255), tf.uint8)


def refuse_dark(highest, count, name):
    """Raises a ValueError where 16-bit images use less than half their range.

    Args:
        highest: largest value of any of them.
        count: how many were looked at.
        name: of the data set.
    """
    if highest > _WHOLE[1] // 2:
        return
    top = next((t for t in _TOPS if highest <= t), _WHOLE[1])
    raise ValueError(
        f"16-bit images must use their range, 0 to {_WHOLE[1]}, or it must be"
        f" said which: as it is, their white would be {highest // 256} of 255."
        f" {_STATE.format(0, top)}; 0,{_WHOLE[1]} takes them as they are."
        f" Received: values up to {highest} in {count} images of {name}"
    )


def stated(source, pixel_range):
    """The same source, whose 16-bit images are scaled by a range.

    Some of its images are looked at: where no range is stated, those of 16
    bits must use the whole of theirs.

    Args:
        source: `Source` of encoded images.
        pixel_range: pair (low, high), or None.

    Raises:
        ValueError: images of 16 bits need a range, or a range is stated and
            no image has 16 bits.
    """
    deep = [each for each in _encoded(source) if is_deep_png(each)]
    if pixel_range is None:
        if deep:
            arrays = [tf.io.decode_png(x, dtype=tf.uint16) for x in deep]
            highest = max(int(tf.reduce_max(x)) for x in arrays)
            refuse_dark(highest, len(deep), source.name)
        return source
    if not deep:
        raise ValueError(
            "pixel_range is for images of 16 bits; leave it out. Received:"
            f" pixel_range={pixel_range}, and none of the images of"
            f" {source.name} that were looked at has 16 bits"
        )
    return dataclasses.replace(source, pixel_range=pixel_range)


def is_deep_png(encoded):
    """Whether the bytes are a PNG of 16 bits, by its header."""
    return encoded[:4] == b"\x89PNG" and encoded[24:25] == b"\x10"


def _encoded(source):
    """Contents of some images; of those that cannot be read nothing."""
    count = source.num_examples
    some = np.unique(np.linspace(0, count - 1, min(_SAMPLE, count)).astype(int))
    if source.records is not None:
        records = source.records.in_order(source.positions).take(_SAMPLE)
        for _, record in records:
            yield source.records.parse(record)[0].numpy()
        return
    if source.files is None:
        yield from (source.encoded[i] for i in some)
        return
    for path in source.files[some]:
        try:
            with paths.as_path(path).open("rb") as file:
                header = file.read(32)
                yield header + (file.read() if is_deep_png(header) else b"")
        except OSError:  # said where it is decoded
            continue
