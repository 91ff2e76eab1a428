"""Checks and conversions of the pixels that models are given."""

import keras
import tensorflow as tf

from simclr_keras.images import blending
from simclr_keras.images import value_range

# Executions between two looks of the host at what the device has noted.
_EVERY = 50


def to_rgb(images):
    """Images `[..., C]` of 1 to 4 channels as RGB, as files are decoded.

    One channel is grey and repeated; the last of two or four is alpha, and
    what is transparent is laid on white. Three are returned as they are.

    Args:
        images: `[..., H, W, C]`, uint8 in [0, 255] or float in [0, 1].

    Returns:
        Tensor `[..., H, W, 3]` of the same dtype.

    Raises:
        ValueError: another number of channels, or other integers than uint8.
    """
    images = tf.convert_to_tensor(images)
    if images.dtype != tf.uint8 and not images.dtype.is_floating:
        raise ValueError(
            "images must be uint8 in [0, 255] or floats in [0, 1]; divide"
            " integers by their largest value, such as images / 65535 for"
            f" uint16. Received: images of dtype {images.dtype.name}"
        )
    channels = images.shape[-1]
    if channels is None:
        return _to_rgb_later(images)
    if channels == 3:
        return images
    check_channels(images.shape)
    if channels in (2, 4):
        images = _on_white(images[..., :-1], images[..., -1:])
    if channels < 3:
        images = tf.repeat(images, 3, axis=-1)
    return images


def check_channels(shape):
    """Refuses images of a number of channels that `to_rgb` does not know.

    Args:
        shape: theirs, channels last, as far as it is known.
    """
    shape = tf.TensorShape(shape)
    if shape.rank not in (4, 5) or shape[-1] in (None, 1, 2, 3, 4):
        return
    raise ValueError(
        "images must have 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha)"
        " channels, in the last dimension. Choose three of the bands, such as"
        f" images[..., :3]. Received: {shape[-1]} channels, shape {shape}"
    )


def _to_rgb_later(images):
    """`to_rgb` where the number of channels is known in the step only.

    Such are batches of a Python generator, and those of a function that Keras
    has traced for several shapes.
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


def to_rgb_float(images):
    """RGB images in [0, 1]: uint8 is divided by 255, float is kept.

    Args:
        images: `[..., H, W, C]`, see `to_rgb`.

    Returns:
        Float tensor `[..., H, W, 3]`, float32 for uint8.

    Raises:
        ValueError: a dtype or a number of channels that is no image's; or,
            where the values can be read, floats in another range.
    """
    images = to_rgb(images)
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    value_range.check_eagerly(images)
    return images


class PixelWatch:
    """Notes on the device the first batch with pixels out of range.

    A plain object, so that its variable is no weight of the model.
    """

    def __init__(self):
        self._noted = tf.Variable(
            tf.zeros([4]),
            trainable=False,
            aggregation=tf.VariableAggregation.NONE,  # all note the same
        )

    def note(self, *images):
        """Takes part in a step: looks at its float images; uint8 is free."""
        for each in images:
            if each is None or not each.dtype.is_floating:
                continue
            before = tf.convert_to_tensor(self._noted)
            found = value_range.statistics(each)
            kept = tf.where(before[0] > 0, before, found)
            self._noted.assign(kept)

    def check(self):
        """Raises a ValueError, once, where a batch was out of range."""
        noted = tf.convert_to_tensor(self._noted)
        if noted[0] > 0:
            self.reset()
        value_range.refuse(noted)

    def reset(self):
        """Forgets what was noted."""
        self._noted.assign(tf.zeros([4]))


class CheckPixels(keras.callbacks.Callback):
    """Reads a model's `PixelWatch` after the first batch, and now and then."""

    def on_train_begin(self, logs=None):
        """Begins with the first batch."""
        self.model.pixel_watch.reset()
        self._trained = 0

    def on_train_batch_end(self, batch, logs=None):
        """Stops after the first batch, or some steps after a later one."""
        if self._trained % _EVERY == 0:
            self.model.pixel_watch.check()
        self._trained += 1

    def on_epoch_end(self, epoch, logs=None):
        """Before the user's callbacks, which may save."""
        self.model.pixel_watch.check()

    def on_test_begin(self, logs=None):
        """Begins with the first batch."""
        self._tested = False

    def on_test_batch_end(self, batch, logs=None):
        """Stops after the first batch."""
        if not self._tested:
            self.model.pixel_watch.check()
        self._tested = True

    def on_test_end(self, logs=None):
        """Stops where a later batch was out of range."""
        self.model.pixel_watch.check()

    def on_predict_batch_end(self, batch, logs=None):
        """Stops after any batch: its result is about to be handed out."""
        self.model.pixel_watch.check()
