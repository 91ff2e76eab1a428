"""Freezes the parts of a classifier that it does not train."""

from __future__ import annotations

import keras

from simclr_keras import compat
from simclr_keras import scalars


def check_freeze(freeze: str | int, encoder: keras.Model) -> str | int:
    """Checks the argument `freeze` of a `Classifier`; returns str or int.

    Raises:
        ValueError: it is neither `"all"`, `"none"` nor the number of a block
            group, or the encoder has no groups.
    """
    whole = scalars.is_whole(freeze)
    if not whole and freeze not in ("all", "none"):
        raise ValueError(
            "freeze must be 'all', 'none' or the number of a block group."
            f" Received: freeze={freeze!r}"
        )
    if whole and not hasattr(encoder, "freeze_through"):
        raise ValueError(
            "freeze can be the number of a block group only for an encoder"
            " that knows its stages (ResNet, TinyResNet); use 'all' or 'none'."
            f" Received: freeze={freeze!r}, encoder={encoder.name!r}"
        )
    return int(freeze) if whole else freeze


def check_projection_layer(
    projection_layer: int, projection_head: keras.layers.Layer | None
) -> None:
    """Checks that a projection head has the layer that feeds a classifier.

    Raises:
        ValueError: it has no such layer; 0, `h` itself, needs no head.
    """
    if projection_layer == 0:
        return
    if not hasattr(projection_head, "layer_outputs"):
        raise ValueError(
            "projection_layer other than 0 needs the projection_head of the"
            " pretrained model. Received: projection_layer="
            f"{projection_layer!r}, projection_head={projection_head!r}"
        )
    projection_head.layer_index(projection_layer)


def freeze_parts(
    encoder: keras.Model,
    projection_head: keras.layers.Layer | None,
    freeze: str | int,
    projection_layer: int = 0,
) -> None:
    """Sets which layers of encoder and projection head are trained.

    Args:
        encoder: see `Classifier`.
        projection_head: see `Classifier`.
        freeze: as `check_freeze` allows.
        projection_layer: number of the output that feeds a classifier; later
            layers, which get no gradient, are frozen. Defaults to 0: no output
            is used, and none is frozen for that.
    """
    for layer in compat.flatten_layers(encoder):
        layer.trainable = True
    if projection_head is not None:
        # Even if it is frozen below: on Keras 3, a head that was loaded frozen
        # keeps trainable variables if this is only set to False again.
        projection_head.trainable = True
    if freeze == "all":
        encoder.trainable = False
        if projection_head is not None:
            projection_head.trainable = False
    elif freeze != "none":
        encoder.freeze_through(freeze)
    if projection_layer != 0:
        used = projection_head.layer_index(projection_layer)
        layers = projection_head.dense_layers[used:]
        for layer in layers + projection_head.norm_layers[used:]:
            layer.trainable = False
