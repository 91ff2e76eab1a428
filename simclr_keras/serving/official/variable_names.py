"""Finds a variable's layer and parameter by its name in the official code.

Versions 1 and 2 of the official code, in TensorFlow 1 and 2, number
convolutions and batch norms over the whole encoder in the order in which they
are applied, with the shortcut of a block first. So the n-th convolution in a
file is the n-th of the network, whatever the prefix of its name.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence

from simclr_keras.serving.official.checkpoint_reader import Stored

_PARAMETER = "(?P<parameter>kernel|bias|gamma|beta|moving_mean|moving_variance)"
_ENCODER = re.compile(
    r"(?:.*/)?(?P<kind>conv2d|(?:sync_)?batch_normalization)(?:_(?P<n>\d+))?/"
    + _PARAMETER
)
_PROJECTION = re.compile(
    r"(?:.*/)?(?:projection_head|head_contrastive)/n?l_(?P<n>\d+)/(?:.*/)?"
    r"(?P<kind>dense|(?:sync_)?batch_normalization)(?:_\d+)?/" + _PARAMETER
)
_SUPERVISED = re.compile(
    r"(?:.*/)?head_supervised/(?:.*/)?dense(?:_\d+)?/" + _PARAMETER
)
UNKNOWN = "unknown"
# Variables of optimizers and of the training loop, which are not weights.
_SLOT = re.compile(
    r".*/(Momentum|Adam|Adam_1|LARSOptimizer|ExponentialMoving.*)"
)
_COUNTERS = re.compile(
    r"(global_step|save_counter|beta1_power|beta2_power|iter)$|.*(optimizer|"
    r"learning_rate|decay|momentum|/iter).*"
)


def reason_to_skip(stored: Stored) -> str | None:
    """Reason why a variable is not loaded, or `UNKNOWN`; None for a weight."""
    if _SLOT.fullmatch(stored.name) or "/.OPTIMIZER_SLOT/" in stored.key:
        return "left out: state of the optimizer"
    if stored.in_model and _parse(stored.name):
        return None
    if _COUNTERS.fullmatch(stored.name) or not stored.in_model:
        return "left out: state of the training"
    return UNKNOWN


def sort_by_layer(
    variables: Sequence[Stored],
) -> dict[tuple, dict[str, Stored]]:
    """Groups weights by the position of their layer in the network.

    Args:
        variables: list of `Stored` for which `reason_to_skip` returns None.

    Returns:
        Dict from positions to dicts from parameters to `Stored`. A position is
        a tuple: `("conv", n)` and `("norm", n)` of the encoder, counted from 0
        without gaps; `("dense", j)` and `("head norm", j)` of layer j of the
        projection head; `("supervised",)`.

    Raises:
        ValueError: two variables have the same position and parameter.
    """
    layers = collections.defaultdict(dict)
    for stored in variables:
        position, parameter = _parse(stored.name)
        if parameter in layers[position]:
            first = layers[position][parameter].name
            raise ValueError(
                "checkpoint must hold one network. Received: two variables for"
                f" the same place, {first} and {stored.name}"
            )
        layers[position][parameter] = stored
    numbers = {
        kind: sorted(position[1] for position in layers if position[0] == kind)
        for kind in ("conv", "norm")
    }
    return {
        (position[0], numbers[position[0]].index(position[1]))
        if position[0] in numbers
        else position: parameters
        for position, parameters in layers.items()
    }


def _parse(name):
    """Pair of a layer's position and a parameter, or None."""
    match = _SUPERVISED.fullmatch(name)
    if match:
        return ("supervised",), match["parameter"]
    match = _PROJECTION.fullmatch(name)
    if match:
        kind = "dense" if match["kind"] == "dense" else "head norm"
        return (kind, int(match["n"])), match["parameter"]
    match = _ENCODER.fullmatch(name)
    if match:
        kind = "conv" if match["kind"] == "conv2d" else "norm"
        return (kind, int(match["n"] or 0)), match["parameter"]
    return None
