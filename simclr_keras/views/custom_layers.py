"""Calls, checks and serialises Keras layers of the user within views."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simclr_keras.images import channels
from simclr_keras.images import checks


def is_layer(item: Any) -> bool:
    """Whether an object is a Keras layer or model, or behaves like one."""
    return callable(item) and callable(getattr(item, "call", None))


def call(
    layer: keras.layers.Layer, images: tf.Tensor, size: tuple[int, int]
) -> tf.Tensor:
    """Calls a layer that maps images to views.

    Args:
        layer: layer or model; gets `training=True` if it has that argument.
        images: `float32` `[B, H, W, C]` in [0, 1].
        size: (height, width) that the result must have, in pixels.

    Returns:
        `float32` tensor `[B, height, width, C]`, clipped to [0, 1].

    Raises:
        ValueError: the result has another shape.
    """
    parameters = inspect.signature(layer.call).parameters
    takes_training = "training" in parameters or any(
        p.kind is p.VAR_KEYWORD for p in parameters.values()
    )
    count = channels.of(images.shape)
    images = layer(images, training=True) if takes_training else layer(images)
    images = tf.clip_by_value(tf.cast(images, tf.float32), 0.0, 1.0)
    checks.view_shape(f"The result of {layer.name!r}", images, size, count)
    return tf.ensure_shape(images, [None, *size, count])


def serialize(items: Sequence[str | keras.layers.Layer]) -> list[str | dict]:
    """Replaces layers by their configurations; strings stay."""
    return [
        item
        if isinstance(item, str)
        else keras.saving.serialize_keras_object(item)
        for item in items
    ]


def deserialize(
    items: Sequence[str | dict | keras.layers.Layer],
) -> list[str | keras.layers.Layer]:
    """Makes layers from configurations; strings and layers stay."""
    return [
        keras.saving.deserialize_keras_object(item)
        if isinstance(item, dict)
        else item
        for item in items
    ]
