"""Converts and checks the pixels of images that models get."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras.images import value_range
from simclr_keras.images.formats import blending


def to_rgb(images: tf.Tensor) -> tf.Tensor:
    """Converts tensors of 1 to 4 channels to RGB, as decoding does for files.

    One channel is grey and repeated; the last of two or four is alpha, and
    transparent pixels are composited onto white. Three are returned unchanged.

    Args:
        images: `[..., H, W, C]`, uint8 in [0, 255] or float in [0, 1].

    Returns:
        Tensor `[..., H, W, 3]` of the same dtype.

    Raises:
        ValueError: another number of channels, or other integers than uint8.
    """
    images = _checked(images)
    channels = images.shape[-1]
    if channels is None:
        return _to_rgb_dynamic(images)
    if channels == 3:
        return images
    check_channels(images.shape)
    if channels in (2, 4):
        images = _on_white(images[..., :-1], images[..., -1:])
    if channels < 3:
        images = tf.repeat(images, 3, axis=-1)
    return images


def _checked(images):
    """The images as a tensor; refuses integers other than uint8."""
    images = tf.convert_to_tensor(images)
    if images.dtype != tf.uint8 and not images.dtype.is_floating:
        raise ValueError(
            "images must be uint8 in [0, 255] or floats in [0, 1]; divide"
            " integers by their largest value, such as images / 65535 for"
            f" uint16. Received: images of dtype {images.dtype.name}"
        )
    return images


def with_channels(images: tf.Tensor, channels: int = 3) -> tf.Tensor:
    """Checks images that must have a number of channels.

    Args:
        images: `[..., H, W, C]`, uint8 in [0, 255] or float in [0, 1].
        channels: those of the encoder's input. For 3, `to_rgb` converts images
            of other channels; else nothing is converted.

    Returns:
        Tensor `[..., H, W, channels]` of the same dtype.

    Raises:
        ValueError: another number of channels, or other integers than uint8.
    """
    if channels == 3:
        return to_rgb(images)
    images = _checked(images)
    check_channels(images.shape, channels)
    if images.shape.rank is None:
        return images
    return tf.ensure_shape(images, [*images.shape[:-1], channels])


def check_channels(
    shape: tf.TensorShape | tuple | None, channels: int = 3
) -> None:
    """Raises a ValueError for channels that `with_channels` does not take.

    Args:
        shape: static shape of the images, channels last.
        channels: those of the encoder's input. Default 3.

    Raises:
        ValueError: the last dimension is known, and neither `channels` nor,
            if this is 3, one of 1 to 4.
    """
    shape = tf.TensorShape(shape)
    allowed = (1, 2, 3, 4) if channels == 3 else (channels,)
    if shape.rank not in (4, 5) or shape[-1] in (None, *allowed):
        return
    received = f"Received: {shape[-1]} channels, shape {shape}"
    if channels != 3:
        raise ValueError(
            f"images must have the channels of the encoder's input, {channels},"
            f" in the last dimension. {received}"
        )
    raise ValueError(
        "images must have 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha)"
        " channels, in the last dimension. For images of more bands make"
        " encoder and views with so many, such as sk.ResNet(50,"
        " input_channels=13) and sk.TwoViews(64, channels=13); or choose three"
        f" of the bands, such as images[..., :3]. {received}"
    )


def _to_rgb_dynamic(images):
    """`to_rgb` if the number of channels is known only at run time.

    This happens with a Python generator, and in a function that Keras traced
    for several shapes.
    """
    shape = tf.shape(images)
    colors = tf.cond(
        shape[-1] % 2 == 0,
        lambda: _on_white(images[..., :-1], images[..., -1:]),
        lambda: images,
    )
    rgb = tf.broadcast_to(colors, tf.concat([shape[:-1], [3]], axis=0))
    return tf.ensure_shape(rgb, [*images.shape[:-1], 3])


def _on_white(colors, alpha):
    if colors.dtype.is_floating:
        return colors * alpha + (1 - alpha)
    return blending.on_white(colors, alpha)


def to_float(images: tf.Tensor, channels: int = 3) -> tf.Tensor:
    """Converts images that a model gets to floats in [0, 1].

    Args:
        images: `[..., H, W, C]`, see `with_channels`.
        channels: see `with_channels`. Default 3.

    Returns:
        Float tensor `[..., H, W, channels]`, float32 for uint8.

    Raises:
        ValueError: dtype or number of channels are not those of images; or, for
            eager tensors, floats are out of range.
    """
    images = with_channels(images, channels)
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    value_range.check_eagerly(images)
    return images


class PixelWatch:
    """Records the first batch with pixels out of range, on the device.

    A plain object, not a layer, so its variable is not a weight of the model.
    """

    def __init__(self):
        self._record = tf.Variable(
            tf.zeros([4]),
            trainable=False,
            # All replicas write the same value.
            aggregation=tf.VariableAggregation.NONE,
        )

    def note(self, *images) -> None:
        """Checks float images within a step; uint8 images cost nothing."""
        for batch in images:
            if batch is None or not batch.dtype.is_floating:
                continue
            before = tf.convert_to_tensor(self._record)
            new = value_range.statistics(batch)
            self._record.assign(tf.where(before[0] > 0, before, new))

    def check(self) -> None:
        """Raises a ValueError, once, if a batch was out of range."""
        record = tf.convert_to_tensor(self._record)
        if record[0] > 0:
            self.reset()
        value_range.refuse(record)

    def reset(self) -> None:
        """Clears the record."""
        self._record.assign(tf.zeros([4]))
