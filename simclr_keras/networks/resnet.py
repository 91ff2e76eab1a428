"""Defines ResNet encoders equal to those of the official SimCLR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from simclr_keras import compat
from simclr_keras import scalars
from simclr_keras.networks import blocks
from simclr_keras.networks import layers
from simclr_keras.networks.encoder import StagedEncoder
from simclr_keras.networks.encoder import image_input

_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
DEPTHS = tuple(_BLOCKS)


@compat.register
class ResNet(StagedEncoder):
    """ResNet encoder, which maps float images in [0, 1] to pooled features h.

    As in the official SimCLR, convolutions have no biases, each stage's first
    block projects its shortcut, strided convolutions pad on both sides, and
    the last scale (gamma) of each block is initially zero. With selective
    kernels the stem has three 3x3 convolutions and shortcuts are pooled
    (ResNet-D); at depths 18 and 34 nothing else changes.

    Layers are named `initial_conv` (its output is before normalisation),
    `initial_max_pool` (after normalisation, ReLU and the pooling, if any),
    `block_group<s>_block<b>_<part>`, `block_group<s>` (the output of stage s),
    `pooled_features`.

    Args:
        depth: 18, 34, 50, 101, 152 or 200.
        width: Multiplier of all numbers of channels, positive; 1, 2 and 4 in
            the paper. Products are rounded to the nearest integer (halves to
            even), at least 1. Default 1.
        sk_ratio: Width of the bottleneck in selective kernels as a fraction of
            a block's filters (at least 32 channels); 0.0625 in SimCLRv2. In
            [0, 1], default 0: no selective kernels.
        se_ratio: Width of the bottleneck in squeeze-and-excitation as a
            fraction of a block's filters (at least one channel); 0.25 in the
            literature. In [0, 1], default 0: no squeeze-and-excitation.
        small_images: Whether the stem is a 3x3 convolution of stride 1 without
            pooling, for images of 32 pixels or so. Default False: 7x7 (or
            three 3x3) of stride 2 and a max pool.
        global_bn: Whether batch norm spans all replicas of a distribution
            strategy. Default True.
        input_channels: Channels of the images, at least 1. Default 3, RGB.
        name: Name of the model. Default "resnet<depth>".
        dtype: A dtype policy or its name. Default: Keras's global policy.

    Call:
        images: Float tensor `[B, H, W, input_channels]` in [0, 1], any H and W.

    Returns:
        h: `[B, C]`, `C = round(512 * width)` at depths 18 and 34, else
        `4 * round(512 * width)`, in the compute dtype of the policy.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> encoder = ResNet(18, width=0.125, small_images=True)
        >>> encoder(tf.zeros([2, 32, 32, 3])).shape
        TensorShape([2, 64])

    References:
        He et al. 2015, arXiv 1512.03385; Chen et al. 2020, arXiv 2002.05709;
        selective kernels: Chen et al. 2020, arXiv 2006.10029, section 2.
    """

    def __init__(
        self,
        depth: int,
        *,
        width: float = 1,
        sk_ratio: float = 0.0,
        se_ratio: float = 0.0,
        small_images: bool = False,
        global_bn: bool = True,
        input_channels: int = 3,
        name: str | None = None,
        dtype: str | keras.mixed_precision.Policy | None = None,
    ):
        _check(depth, width, sk_ratio, se_ratio)
        policy = compat.dtype_policy_name(dtype)
        settings = blocks.BlockSettings(
            policy, sk_ratio, se_ratio, global_bn=global_bn
        )
        images = image_input(policy, input_channels)
        x = _stem(images, width, small_images, settings)
        path = blocks.basic_path if depth < 50 else blocks.bottleneck_path
        for stage, count in enumerate(_BLOCKS[depth], start=1):
            filters = scale_filters(64 * 2 ** (stage - 1), width)
            group = f"block_group{stage}"
            for block in range(1, count + 1):
                x = blocks.residual_block(
                    x,
                    path,
                    filters,
                    stride=2 if stage > 1 and block == 1 else 1,
                    project=block == 1,
                    name=f"{group}_block{block}",
                    output_name=(
                        group
                        if block == count
                        else f"{group}_block{block}_relu"
                    ),
                    settings=settings,
                )
        h = layers.SpatialMean(name="pooled_features", dtype=policy)(x)
        super().__init__(images, h, settings, name or f"resnet{depth}")
        self.depth = int(depth)
        self.width = scalars.plain(width)
        self.sk_ratio = scalars.plain(sk_ratio)
        self.se_ratio = scalars.plain(se_ratio)
        self.small_images = small_images

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the network, and its last frozen stage."""
        return {
            **super().get_config(),
            "depth": self.depth,
            "width": self.width,
            "sk_ratio": self.sk_ratio,
            "se_ratio": self.se_ratio,
            "small_images": self.small_images,
        }


def depth_of(block_counts: Sequence[int], bottleneck: bool) -> int | None:
    """Depth of the ResNet with these numbers of blocks per stage, or None."""
    for depth, counts in _BLOCKS.items():
        if (depth >= 50) == bottleneck and counts == tuple(block_counts):
            return depth
    return None


def scale_filters(filters: int, width: float) -> int:
    """Multiplies a number of channels by the width; at least 1."""
    return max(1, round(filters * width))


def _stem(images, width, small_images, settings):
    x, filters = images, scale_filters(64, width)
    if small_images:
        x = blocks.conv(x, filters, 3, "initial_conv", settings)
    elif settings.sk_ratio:
        half = scale_filters(32, width)
        x = blocks.conv_norm_relu(x, half, 3, "stem", 1, settings, stride=2)
        x = blocks.conv_norm_relu(x, half, 3, "stem", 2, settings)
        x = blocks.conv(x, filters, 3, "initial_conv", settings)
    else:
        x = blocks.conv(x, filters, 7, "initial_conv", settings, stride=2)
    x = blocks.norm(x, "initial_norm", settings)
    x = blocks.relu(x, "initial_relu", settings)
    if small_images:
        return keras.layers.Identity(
            name="initial_max_pool", dtype=settings.policy
        )(x)
    return keras.layers.MaxPooling2D(
        3,
        strides=2,
        padding="same",
        name="initial_max_pool",
        dtype=settings.policy,
    )(x)


def _check(depth, width, sk_ratio, se_ratio):
    if depth not in _BLOCKS:
        raise ValueError(
            f"`depth` must be one of {', '.join(map(str, _BLOCKS))}."
            f" Received: {depth!r}"
        )
    if not width > 0:
        raise ValueError(f"`width` must be positive. Received: {width!r}")
    for name, ratio in (("sk_ratio", sk_ratio), ("se_ratio", se_ratio)):
        if not 0 <= ratio <= 1:
            raise ValueError(
                f"`{name}` must lie in [0, 1]. Received: {ratio!r}"
            )
