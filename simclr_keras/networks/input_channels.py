"""Converts an encoder to images of another number of channels."""

from __future__ import annotations

import copy
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.networks.encoder import StagedEncoder
from simclr_keras.networks.encoder import image_channels
from simclr_keras.networks.encoder import image_shape

# Keys of the shape of a layer's input in configurations of Keras 3 and 2.
_INPUT_SHAPES = ("batch_shape", "batch_input_shape")
# Entries from which Keras would build layers for the former channels.
_BUILT = ("build_config", "build_input_shape")


def with_input_channels(model: keras.Model, channels: int) -> keras.Model:
    """Copies an encoder to images of another number of channels.

    Every output filter of the first convolution becomes its mean over the
    former channels, times their number over the new number, for each of the new
    channels. So an image whose channels are all equal has the same features as
    before. All other weights are copied.

    Args:
        model: `keras.Model` of images `[B, H, W, D]` that round trips through
            `get_config`; it is not changed.
        channels: new number C of channels.

    Returns:
        `keras.Model` of images `[B, H, W, C]`; `model` itself if D is C.

    Raises:
        ValueError: the model does not say D, or cannot be rebuilt; or other
            weights than the kernel of one convolution depend on D.

    Example:
        >>> encoder = with_input_channels(sk.load("runs/rgb").encoder, 13)
    """
    before = image_channels(model, None)
    if before == channels:
        return model
    if before is None:
        raise _refused(
            model,
            channels,
            "its channels are not known until it is called on images",
        )
    try:
        made = _rebuilt(model, before, channels)
    except Exception as error:  # layers can raise anything
        text = str(error).strip().splitlines()
        raise _refused(
            model, channels, f"it failed with: {text[0] if text else error}"
        ) from error
    old, new = compat.weights_of(model), compat.weights_of(made)
    changed = [
        number
        for number, (a, b) in enumerate(zip(old, new))
        if tuple(a.shape) != tuple(b.shape)
    ]
    if len(old) != len(new) or len(changed) != 1:
        raise _refused(
            model,
            channels,
            f"{len(changed)} of its weights depend on the channels, instead of"
            " one kernel",
        )
    for number, (a, b) in enumerate(zip(old, new)):
        values = compat.as_numpy(a)
        if number == changed[0]:
            if not _is_kernel(a.shape, b.shape, before, channels):
                shape = tuple(a.shape)
                raise _refused(
                    model, channels, f"a weight of shape {shape} is no kernel"
                )
            values = converted(values, channels)
        b.assign(values.astype(tf.as_dtype(b.dtype).as_numpy_dtype))
    return made


def converted(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Converts the kernel of a convolution to another number of channels.

    Args:
        kernel: float `[h, w, D, F]`.
        channels: new number C of channels.

    Returns:
        Float `[h, w, C, F]`, see `with_input_channels`.
    """
    total = np.sum(kernel.astype(np.float64), axis=2, keepdims=True)
    return np.repeat(total / channels, channels, axis=2)


def _is_kernel(old, new, before, channels):
    """Whether shapes are `[h, w, D, F]` and `[h, w, C, F]`."""
    if len(old) != 4 or len(new) != 4 or old[2] != before:
        return False
    return tuple(new) == (*old[:2], channels, old[3])


def _rebuilt(model, before, channels):
    """A model of the same configuration and class, for other channels."""
    config = model.get_config()
    if isinstance(model, StagedEncoder):
        return type(model).from_config({**config, "input_channels": channels})
    config = _replaced(copy.deepcopy(config), before, channels)
    made = type(model).from_config(config)
    shape = (*image_shape(model)[1:3], channels)
    if not made.built and isinstance(made, keras.Sequential):
        made.build((None, *shape))
    elif not made.built:  # a subclass, whose `build` would make no weights
        made(tf.zeros([1, *(side or 64 for side in shape)]))
    return made


def _replaced(config: Any, before: int, channels: int) -> Any:
    """A configuration with the channels of all inputs replaced."""
    if isinstance(config, (list, tuple)):
        return type(config)(_replaced(x, before, channels) for x in config)
    if not isinstance(config, dict):
        return config
    made = {}
    for key, value in config.items():
        if key in _BUILT:
            continue
        if key in _INPUT_SHAPES and value is not None and len(value) == 4:
            if value[-1] == before:
                value = type(value)([*value[:-1], channels])
        elif key == "input_channels":  # one of our encoders, nested
            value = channels
        else:
            value = _replaced(value, before, channels)
        made[key] = value
    return made


def _refused(model, channels, reason):
    return ValueError(
        f"an encoder can be converted to {channels} channels if its first"
        " convolution alone depends on them; build one for images of so many."
        f" Received: {model.name!r}, which takes {image_channels(model, None)}:"
        f" {reason}"
    )
