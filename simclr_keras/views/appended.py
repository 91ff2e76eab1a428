"""Applies the operations and Keras layers that a user appends to a view."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from simclr_keras.views import ablations
from simclr_keras.views import custom_layers


def check(
    append: Sequence[str | keras.layers.Layer], size: tuple[int, int]
) -> list[str | keras.layers.Layer]:
    """Checks the argument `append` of a `View` and returns it as a list.

    Args:
        append: value of the user's argument.
        size: (height, width) of the view in pixels.

    Raises:
        ValueError: it is not a sequence of names and Keras layers, or has
            "rotation" for a view that is not square.
    """
    names = tuple(ablations.BY_NAME)
    if not isinstance(append, (tuple, list)):
        raise ValueError(
            "`append` must be a sequence of names and Keras layers."
            f" Received: append={append!r}"
        )
    for item in append:
        known = isinstance(item, str) and item in names
        if not known and not custom_layers.is_layer(item):
            raise ValueError(
                f"`append` takes Keras layers and the names {names}."
                f" Received: {item!r}"
            )
    if "rotation" in append and size[0] != size[1]:
        raise ValueError(
            "`append` takes 'rotation' for square views only. Received:"
            f" image_size={size}"
        )
    return list(append)


def split(
    items: list[str | keras.layers.Layer],
) -> tuple[list[str], list[str | keras.layers.Layer]]:
    """Splits a list before its first Keras layer.

    Operations before it are pure functions of images and seeds, so XLA may
    compile them with the rest of the view.
    """
    for number, item in enumerate(items):
        if not isinstance(item, str):
            return items[:number], items[number:]
    return items, []


def apply(
    items: Sequence[str | keras.layers.Layer],
    images: tf.Tensor,
    seeds: tf.Tensor,
) -> tf.Tensor:
    """Applies operations and layers in turn.

    Args:
        items: list of `check`, or a part of it from `split`.
        images: `float32` `[B, height, width, C]` in [0, 1].
        seeds: `uint32` `[B, 2]`.

    Returns:
        Images of the same shape, clipped to [0, 1].
    """
    size = tuple(images.shape[1:3])
    for item in items:
        if isinstance(item, str):
            images = ablations.BY_NAME[item](images, seeds)
            images = tf.clip_by_value(images, 0.0, 1.0)
        else:
            images = custom_layers.call(item, images, size)
    return images
