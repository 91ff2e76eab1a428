"""Adapts Keras models as encoders, and checks encoders."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.images.checks import LEAST_SIZE
from simclr_keras.networks.encoder import image_channels
from simclr_keras.networks.input_channels import with_input_channels
from simclr_keras.networks.layers import precise_mean

TOKENS = ("first", "mean")
# An encoder whose first layers shrink [0, 1] to a smaller range than this
# expects [0, 255]. Rescaling by 1 / 255 shrinks so much; division by the
# standard deviation of pixels does not.
_LEAST_GAIN = 0.1


@compat.register
class TokenPooling(keras.layers.Layer):
    """Pools tokens `[B, T, C]` of a vision transformer to features `[B, C]`.

    Args:
        tokens: `"first"`, the class token where the network has one; or
            `"mean"`, the mean over all tokens, a class token included.
        **kwargs: `name` and `dtype` of the Keras layer.
    """

    def __init__(self, tokens: str, **kwargs):
        super().__init__(**kwargs)
        _check_tokens(tokens)
        self.tokens = tokens

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Maps `[B, T, C]` to `[B, C]`."""
        if self.tokens == "first":
            return inputs[:, 0]
        return precise_mean(inputs, axis=1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `(B, C)`."""
        return (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "tokens": self.tokens}


def as_encoder(
    model: keras.Model,
    value_range: tuple[float, float] = (0.0, 1.0),
    tokens: str | None = None,
    channels: int | None = None,
) -> keras.Sequential:
    """Wraps a model as an encoder of images in [0, 1].

    Models of `keras.applications` that rescale their input (EfficientNet,
    EfficientNetV2, MobileNetV3, ConvNeXt, with their default
    `include_preprocessing=True`) expect [0, 255].

    Args:
        model: `keras.Model` of images `[B, H, W, C]`.
        value_range: pair (low, high), the range of pixels that the model
            expects, such as (0, 255) or (-1, 1). Defaults to (0, 1).
        tokens: how to pool an output of tokens `[B, T, C]`: `"first"`, the
            class token, or `"mean"`, the mean over all tokens. Defaults to
            None: the output is `[B, C]` or a feature map.
        channels: number of channels of the images. If the model takes another
            number, a copy of it is wrapped, whose first convolution is
            converted, see `with_input_channels`. Defaults to None: as many as
            the model takes.

    Returns:
        `keras.Sequential` that shares the model's weights, or those of its
        converted copy.

    Raises:
        ValueError: an argument breaks its rule, or the model cannot be
            converted.

    Example:

        network = keras.applications.EfficientNetV2B0(include_top=False)
        model = sk.SimCLR(sk.as_encoder(network, (0, 255)), views=views)
    """
    try:
        low, high = (float(x) for x in value_range)
    except (TypeError, ValueError):
        low = high = 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            "value_range must be a pair (low, high) of numbers with low < high."
            f" Received: value_range={value_range!r}"
        )
    if channels is not None:
        model = with_input_channels(model, channels)
    shape = getattr(model, "input_shape", None)
    has_shape = isinstance(shape, tuple) and len(shape) == 4
    any_size = (None, None, image_channels(model))
    layers = [keras.Input(shape[1:] if has_shape else any_size)]
    if (low, high) != (0.0, 1.0):
        # In float32: bfloat16 cannot represent all 256 values of a pixel.
        layers.append(
            keras.layers.Rescaling(high - low, offset=low, dtype="float32")
        )
    layers.append(model)
    if tokens is not None:
        _check_tokens(tokens)
        layers.append(TokenPooling(tokens))
    return keras.Sequential(layers, name=f"{model.name}_encoder")


def _check_tokens(tokens):
    if tokens not in TOKENS:
        raise ValueError(
            "tokens must be 'first' (the class token) or 'mean' (the mean over"
            f" all tokens). Received: tokens={tokens!r}"
        )


def check_encoder(
    encoder: keras.Model,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> None:
    """Raises a ValueError for an encoder that cannot encode images in [0, 1].

    Args:
        encoder: `keras.Model`.
        size: (height, width) in pixels of the images that the encoder will
            get, or None if unknown.
        channels: number of their channels, or None if unknown.

    Raises:
        ValueError: the encoder takes another size or number of channels, or
            rescales pixels of [0, 255].
    """
    shape = getattr(encoder, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4:
        _check_input(encoder, shape, size)
    _check_channels(encoder, channels)
    gain = _gain(encoder)
    if gain < _LEAST_GAIN:
        raise ValueError(
            "encoder must expect pixels in [0, 1]. One that rescales by itself"
            " sees all images alike; wrap it, sk.as_encoder(encoder, (0, 255)),"
            " or build it with include_preprocessing=False (include_rescaling"
            f" of keras-cv). Received: {encoder.name!r}, whose first layers"
            f" shrink [0, 1] to a range of {gain:.3g}"
        )


def _check_input(encoder, shape, size):
    # No image is so low: these are the channels.
    if shape[1] is not None and shape[1] < LEAST_SIZE:
        raise ValueError(
            "encoder must take images [B, H, W, C], channels last."
            f" Received: {encoder.name!r}, which takes {shape}"
        )
    if size is None:
        return
    if any(fixed not in (None, side) for fixed, side in zip(shape[1:3], size)):
        raise ValueError(
            "encoder must take images of the size of the views. Make them"
            f" fit, sk.TwoViews(image_size={shape[1]}), or build the encoder"
            " with input_shape=(None, None, 3). Received:"
            f" {encoder.name!r}, which takes {shape[1]} x {shape[2]} pixels,"
            f" for images of {size[0]} x {size[1]}"
        )


def _check_channels(encoder, channels):
    own = image_channels(encoder, None)
    if None in (own, channels) or own == channels:
        return
    raise ValueError(
        "encoder must take images of the channels of the views. State the"
        f" channels of the views, sk.TwoViews(size, channels={own}); or build"
        f" the encoder for so many, such as sk.ResNet(50, input_channels="
        f"{channels}); or convert its first kernel, sk.as_encoder(encoder,"
        f" channels={channels}). Received: {encoder.name!r}, which takes {own},"
        f" for views of channels={channels}"
    )


def _gain(encoder):
    """Factor by which the rescaling layers at the input scale differences."""
    gain = np.ones(1)
    for layer in _in_order(encoder):
        if isinstance(layer, keras.layers.Rescaling):
            gain = gain * np.ravel(np.asarray(layer.scale, float))
        elif isinstance(layer, keras.layers.Normalization):
            variance = getattr(layer, "variance", None)
            if variance is None:
                break
            variance = np.ravel(compat.as_numpy(variance))
            gain = gain / np.maximum(np.sqrt(variance), 1e-7)
        elif not isinstance(layer, keras.layers.InputLayer):
            break  # the effect of other layers on the range is unknown
    return float(np.abs(gain).max())


def _in_order(model):
    """Layers of a model in order; a nested model is replaced by its layers."""
    is_sequential = isinstance(model, keras.Sequential)  # built or not
    if not is_sequential and getattr(model, "inputs", None) is None:
        yield model  # the layers of a subclass have no order
        return
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _in_order(layer)
        else:
            yield layer
