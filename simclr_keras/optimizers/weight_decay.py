"""Computes weight decay in the loss, for weights no optimizer decays."""

from __future__ import annotations

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import networks

SUPERVISED_HEAD = "supervised_head"
WHICH = ("all", "heads", "none")


def l2_penalty(
    model: keras.layers.Layer | list[keras.layers.Layer],
    rate: float,
    which: str = "all",
) -> tf.Tensor:
    """Half the sum of squares of trainable weights, times the rate.

    The official code adds it to the loss. With momentum and Adam it covers all
    weights, biases included, except those of batch norm. With LARS, which
    decays the other kernels itself, it covers only the supervised head. Frozen
    weights are left out.

    Args:
        model: Layer or model, or a list of them.
        rate: Weight decay, at least 0.
        which: `"all"` (default), `"heads"`: the kernels of layers named
            `supervised_head`, or `"none"`. `decay_in_loss` returns the value
            for an optimizer.

    Returns:
        float32 scalar.

    Raises:
        ValueError: `rate` or `which` out of range.
    """
    if not rate >= 0:
        raise ValueError(f"rate must be at least 0. Received: rate={rate}")
    penalised = penalised_variables(model, which) if rate else []
    if not penalised:
        return tf.zeros([])
    return rate * tf.add_n(
        [tf.nn.l2_loss(tf.cast(v, tf.float32)) for v in penalised]
    )


def check_l2(l2: float) -> None:
    """Raises a ValueError unless the factor of a penalty is 0 or more."""
    if not 0 <= l2 < float("inf"):
        raise ValueError(
            f"l2 must be a number of at least 0. Received: l2={l2!r}"
        )


def penalised_variables(
    model: keras.layers.Layer | list[keras.layers.Layer], which: str = "all"
) -> list[keras.Variable | tf.Variable]:
    """The variables of `l2_penalty`, in the order of the layers.

    Args:
        model: Layer or model, or a list of them.
        which: `"all"`, `"heads"` or `"none"`.

    Returns:
        List of variables.

    Raises:
        ValueError: `which` is none of these.
    """
    if which not in WHICH:
        raise ValueError(f"which must be one of {WHICH}. Received: {which!r}")
    models = model if isinstance(model, (list, tuple)) else [model]
    layers = compat.flatten_layers(*models)
    if which == "heads":
        candidates = [
            v
            for layer in layers
            if layer.name == SUPERVISED_HEAD
            for v in layer.trainable_weights
            if len(v.shape) >= 2
        ]
        return _unique(candidates, without=())
    if which == "none":
        return []
    batch_norm = (keras.layers.BatchNormalization, networks.BatchNormalization)
    normalisation = [
        v
        for layer in layers
        if isinstance(layer, batch_norm)
        for v in layer.weights
    ]
    candidates = [v for m in models for v in m.trainable_weights]
    return _unique(candidates, without=normalisation)


def _unique(variables, without):
    """Drops repeated variables, which shared layers have, by identity."""
    seen = {id(v) for v in without}
    kept = []
    for variable in variables:
        if id(variable) not in seen:
            seen.add(id(variable))
            kept.append(variable)
    return kept
