"""Finds the function that computes one layer's features of images."""

from __future__ import annotations

import re
from collections.abc import Callable

import keras
import tensorflow as tf

from simclr_keras.models import fitting


def layer_features(
    model: keras.Model, layer: str
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function of images that computes the features of a layer.

    Args:
        model: `SimCLR`, `Classifier` or an encoder.
        layer: "h", "z", or the name of a layer of the encoder, whose output is
            averaged over space.

    Returns:
        Function of float images `[B, H, W, C]` in [0, 1] that returns float
        features `[B, C]`.

    Raises:
        ValueError: the model has no such layer.
    """
    encoder = getattr(model, "encoder", model)
    if layer == "h":
        return lambda images: fitting.pooled(encoder(images, training=False))
    if layer == "z":
        head = getattr(model, "projection_head", None)
        if head is None:
            raise ValueError(
                "layer z needs a model with its projection head: a"
                f" pre-training's. Received: a {type(model).__name__}"
            )
        return lambda images: head(
            fitting.pooled(encoder(images, training=False)), training=False
        )
    try:
        part = keras.Model(encoder.input, encoder.get_layer(layer).output)
    except (AttributeError, ValueError) as error:
        names = [each.name for each in getattr(encoder, "layers", ())]
        groups = [n for n in names if re.fullmatch(r"block_group\d+", n)]
        raise ValueError(
            "layer must be h, z or a layer of the encoder, such as"
            f" {', '.join(groups) or 'one that summary() lists'}."
            f" Received: layer={layer!r}"
        ) from error
    return lambda images: fitting.pooled(part(images, training=False))


def projection_features(
    model: keras.Model, index: int, name: str = "index"
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function of images that computes a linear probe's input.

    Args:
        model: `SimCLR`, `Classifier` or an encoder.
        index: 0 for h; 1 for the output of the projection head's first layer,
            and so on; -1 for z.
        name: name of the index in error messages. Defaults to "index".

    Returns:
        The encoder for 0; else a function of float images `[B, H, W, C]` in
        [0, 1] that returns float features `[B, C]`.

    Raises:
        ValueError: the model has no projection head, or no such layer of it.
    """
    if index == 0:
        return getattr(model, "encoder", model)
    head = getattr(model, "projection_head", None)
    if head is None:
        raise ValueError(
            f"{name} needs a checkpoint with a projection head."
            f" Received: {name}={index}"
        )
    head.layer_index(index)

    def features(images):
        return head.layer_output(model.embed(images), index, training=False)

    return features
