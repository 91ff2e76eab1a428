"""Infers the arguments of our networks from the shapes of official kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simclr_keras.networks import resnet


def resnet_arguments(
    kernels: Sequence[Sequence[int]], biased: Sequence[bool]
) -> dict[str, Any]:
    """Infers the arguments of a `ResNet` from its convolutions.

    Args:
        kernels: shapes `[height, width, in, out]` of all convolutions in the
            order of `variables_in_forward_order`.
        biased: whether each convolution has a bias, a list of booleans; only
            those of squeeze-and-excitation do.

    Returns:
        Dict of arguments. `sk_ratio` is 0 for a ResNet-18 or -34 for small
        images, whose shapes do not depend on it.

    Raises:
        ValueError: no `ResNet` has such convolutions.
    """
    plain = [k for k, bias in zip(kernels, biased) if not bias]
    stem, body, deep_stem = _stem(plain)
    filters = stem[-1][3]
    bottleneck = body[0][3] == 4 * filters
    stages = [filters * 2**stage for stage in range(4)]
    main = [k for k in body if list(k[:2]) == [3, 3]]
    # A stage is recognised by the input channels of a bottleneck's 3x3
    # convolution, or by the output channels of a basic block's two.
    side = 2 if bottleneck else 3
    counts = [sum(k[side] == f for k in main) for f in stages]
    if not bottleneck:
        counts = [count / 2 for count in counts]
    depth = resnet.depth_of(counts, bottleneck)
    if depth is None or filters % 64:
        raise ValueError(
            "checkpoint must be that of a ResNet of depth"
            f" {', '.join(map(str, resnet.DEPTHS))}, 64 channels wide or a"
            f" multiple of it. Received: {filters} channels and"
            f" {[float(c) for c in counts]} blocks in the four stages"
        )
    last = stages[-1]
    selective = bottleneck and any(k[3] == 2 * k[2] for k in main)
    sk_ratio = 0.0625 if deep_stem else 0.0
    if selective:
        wide = [3, 3, last, 2 * last]
        at = next(n for n, k in enumerate(body) if list(k) == wide)
        sk_ratio = body[at + 1][3] / last
    gates = [k for k, bias in zip(kernels, biased) if bias]
    return {
        "depth": depth,
        "width": filters // 64,
        "sk_ratio": sk_ratio,
        "se_ratio": gates[-2][3] / last if gates else 0.0,
        "small_images": stem[0][0] == 3 and not deep_stem,
    }


def _stem(kernels):
    """Separates the convolutions of the stem; also says if there are three."""
    if not kernels or list(kernels[0][2:3]) != [3] or len(kernels) < 8:
        raise ValueError(
            "checkpoint must hold the convolutions of a ResNet for images of"
            f" three channels. Received: {len(kernels)} convolutions, the first"
            f" of shape {list(kernels[0]) if kernels else None}"
        )
    half = kernels[0][3]
    deep = [list(k) for k in kernels[1:3]] == [
        [3, 3, half, half],
        [3, 3, half, 2 * half],
    ]
    length = 3 if deep else 1
    return kernels[:length], kernels[length:], deep


def head_arguments(
    kernels: Sequence[Sequence[int]], offsets: Sequence[bool]
) -> dict[str, Any]:
    """Infers the arguments of a `ProjectionHead` from its dense layers.

    Args:
        kernels: shapes `[in, out]` of the layers in order; an empty list if
            there is no head, and z is h.
        offsets: whether each layer's batch norm has an offset, a list of
            booleans.

    Returns:
        Dict of arguments.

    Raises:
        ValueError: no `ProjectionHead` has such layers.
    """
    if not kernels:
        return {"mode": "none"}
    hidden = {k[1] for k in kernels[:-1]}
    chained = all(a[1] == b[0] for a, b in zip(kernels, kernels[1:]))
    expected = [True] * (len(kernels) - 1) + [False]
    if not chained or len(hidden) > 1 or list(offsets) != expected:
        raise ValueError(
            "checkpoint must hold a projection head of one width, whose last"
            " batch norm alone has no offset. Received: kernels"
            f" {[list(k) for k in kernels]}, offsets {list(offsets)}"
        )
    width = hidden.pop() if hidden else None
    return {
        "mode": "nonlinear",
        "num_layers": len(kernels),
        "out_dim": kernels[-1][1],
        "width": None if width == kernels[0][0] else width,
    }
