"""The official programs' names of variables -> what each of them is.

Versions 1 and 2, of TensorFlow 1 and 2, number convolutions and batch norms
over the whole encoder, in the order in which images meet them, the shortcut of
a block first. So the n-th convolution in a file is the n-th of the network,
whatever stands around its name.
"""

import collections
import re

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
# What training leaves beside the weights.
_SLOT = re.compile(
    r".*/(Momentum|Adam|Adam_1|LARSOptimizer|ExponentialMoving.*)"
)
_COUNTERS = re.compile(
    r"(global_step|save_counter|beta1_power|beta2_power|iter)$|.*(optimizer|"
    r"learning_rate|decay|momentum|/iter).*"
)


def leftover(stored):
    """Why a variable is not taken over, or `UNKNOWN`; None for a weight."""
    if _SLOT.fullmatch(stored.name) or "/.OPTIMIZER_SLOT/" in stored.key:
        return "left out: state of the optimizer"
    if stored.part and _kind(stored.name):
        return None
    if _COUNTERS.fullmatch(stored.name) or not stored.part:
        return "left out: state of the training"
    return UNKNOWN


def sort(variables):
    """Weights by the place that they have in the network.

    Args:
        variables: list of `Stored` for which `leftover` says None.

    Returns:
        Dict of place -> dict of parameter -> `Stored`. A place is a tuple: of
        the encoder `("conv", n)` and `("norm", n)`, counted from 0 without
        gaps; `("dense", j)` and `("head norm", j)` of layer j of the projection
        head; `("supervised",)`.

    Raises:
        ValueError: two variables have the same place.
    """
    found = collections.defaultdict(dict)
    for stored in variables:
        place, parameter = _kind(stored.name)
        if parameter in found[place]:
            first = found[place][parameter].name
            raise ValueError(
                "checkpoint must hold one network. Received: two variables for"
                f" the same place, {first} and {stored.name}"
            )
        found[place][parameter] = stored
    numbers = {
        kind: sorted(place[1] for place in found if place[0] == kind)
        for kind in ("conv", "norm")
    }
    return {
        (place[0], numbers[place[0]].index(place[1]))
        if place[0] in numbers
        else place: parameters
        for place, parameters in found.items()
    }


def _kind(name):
    """Pair of a place and a parameter, or None."""
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
