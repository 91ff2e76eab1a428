"""Builds residual blocks with selective kernels and squeeze-and-excitation.

The functions take and return symbolic tensors of a functional model. The name
of a layer begins with that of its block.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras

from simclr_keras.networks import layers
from simclr_keras.networks.normalization import BatchNormalization


@dataclasses.dataclass(frozen=True)
class BlockSettings:
    """Settings that all blocks of a network share.

    Attributes:
        policy: Name of the dtype policy of all layers.
        sk_ratio: Width of the bottleneck in selective kernels, as a fraction of
            the block's filters; 0: no selective kernels.
        se_ratio: The same for squeeze-and-excitation; 0: none.
        last_gamma: Initial scale of the last normalisation of a block: "zeros",
            which makes blocks identities at first, or "ones".
        global_bn: Whether batch norm spans all replicas.
    """

    policy: str
    sk_ratio: float = 0.0
    se_ratio: float = 0.0
    last_gamma: str = "zeros"
    global_bn: bool = True


def conv(
    x: keras.KerasTensor,
    filters: int,
    size: int,
    name: str,
    settings: BlockSettings,
    stride: int = 1,
    **options,
) -> keras.KerasTensor:
    """Convolution, by default without bias."""
    options.setdefault("use_bias", False)
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        kernel_initializer=keras.initializers.VarianceScaling(
            scale=1.0, mode="fan_in", distribution="truncated_normal"
        ),
        name=name,
        dtype=settings.policy,
        **options,
    )(x)


def norm(
    x: keras.KerasTensor,
    name: str,
    settings: BlockSettings,
    gamma_initializer: str = "ones",
) -> keras.KerasTensor:
    """Batch normalisation."""
    return BatchNormalization(
        gamma_initializer=gamma_initializer,
        synchronized=settings.global_bn,
        name=name,
        dtype=settings.policy,
    )(x)


def relu(
    x: keras.KerasTensor, name: str, settings: BlockSettings
) -> keras.KerasTensor:
    """Rectified linear unit."""
    return keras.layers.ReLU(name=name, dtype=settings.policy)(x)


def conv_norm_relu(
    x: keras.KerasTensor,
    filters: int,
    size: int,
    name: str,
    part: int | str,
    settings: BlockSettings,
    stride: int = 1,
) -> keras.KerasTensor:
    """Convolution, batch norm and ReLU, named `<name>_conv<part>` and so on."""
    x = conv(x, filters, size, f"{name}_conv{part}", settings, stride)
    x = norm(x, f"{name}_norm{part}", settings)
    return relu(x, f"{name}_relu{part}", settings)


def _shortcut(x, filters, stride, name, settings):
    """Projects the block's input to the shape of its output."""
    name = f"{name}_shortcut"
    if settings.sk_ratio:
        # ResNet-D: pooling, then a convolution of stride 1 that skips no pixel.
        if stride > 1:
            x = keras.layers.ZeroPadding2D(
                ((0, 1), (0, 1)), name=f"{name}_pad", dtype=settings.policy
            )(x)
        x = keras.layers.AveragePooling2D(
            2,
            strides=stride,
            padding="valid" if stride > 1 else "same",
            name=f"{name}_pool",
            dtype=settings.policy,
        )(x)
        stride = 1
    x = conv(x, filters, 1, f"{name}_conv", settings, stride)
    return norm(x, f"{name}_norm", settings)


def _selective_kernels(x, filters, stride, name, settings):
    """Mixes two kernels' features with weights per image and channel.

    Li et al. 2019, arXiv 1903.06586, as SimCLRv2 uses it: both kernels are 3x3.
    """
    features = conv_norm_relu(x, 2 * filters, 3, name, 2, settings, stride)
    x = layers.SumOfHalves(name=f"{name}_sk_sum", dtype=settings.policy)(
        features
    )
    x = layers.SpatialMean(True, name=f"{name}_sk_mean", dtype=settings.policy)(
        x
    )
    reduced = max(int(filters * settings.sk_ratio), 32)
    x = conv(x, reduced, 1, f"{name}_sk_reduce", settings)
    x = norm(x, f"{name}_sk_norm", settings)
    x = relu(x, f"{name}_sk_relu", settings)
    logits = conv(x, 2 * filters, 1, f"{name}_sk_expand", settings)
    return layers.SelectHalves(name=f"{name}_sk_select", dtype=settings.policy)(
        [features, logits]
    )


def _squeeze_excite(x, filters, name, settings):
    """Scales channels by a factor per image (Hu et al., arXiv 1709.01507)."""
    channels = x.shape[-1]
    reduced = max(1, int(filters * settings.se_ratio))
    gate = layers.SpatialMean(
        True, name=f"{name}_se_mean", dtype=settings.policy
    )(x)
    gate = conv(gate, reduced, 1, f"{name}_se_reduce", settings, use_bias=True)
    gate = relu(gate, f"{name}_se_relu", settings)
    gate = conv(
        gate,
        channels,
        1,
        f"{name}_se_expand",
        settings,
        use_bias=True,
        activation="sigmoid",
    )
    return keras.layers.Multiply(
        name=f"{name}_se_scale", dtype=settings.policy
    )([x, gate])


def basic_path(
    x: keras.KerasTensor,
    filters: int,
    stride: int,
    name: str,
    settings: BlockSettings,
) -> keras.KerasTensor:
    """Two 3x3 convolutions to `filters` channels: ResNet-18 and 34."""
    x = conv_norm_relu(x, filters, 3, name, 1, settings, stride)
    x = conv(x, filters, 3, f"{name}_conv2", settings)
    return norm(x, f"{name}_norm2", settings, settings.last_gamma)


def bottleneck_path(
    x: keras.KerasTensor,
    filters: int,
    stride: int,
    name: str,
    settings: BlockSettings,
) -> keras.KerasTensor:
    """1x1, 3x3 and 1x1, to `4 * filters` channels: ResNet-50 and deeper."""
    x = conv_norm_relu(x, filters, 1, name, 1, settings)
    if settings.sk_ratio:
        x = _selective_kernels(x, filters, stride, name, settings)
    else:
        x = conv_norm_relu(x, filters, 3, name, 2, settings, stride)
    x = conv(x, 4 * filters, 1, f"{name}_conv3", settings)
    return norm(x, f"{name}_norm3", settings, settings.last_gamma)


def residual_block(
    x: keras.KerasTensor,
    path: Callable[..., keras.KerasTensor],
    filters: int,
    stride: int,
    project: bool,
    name: str,
    output_name: str,
    settings: BlockSettings,
) -> keras.KerasTensor:
    """Adds a path of convolutions to its input, then applies a ReLU.

    Args:
        x: Symbolic tensor `[B, H, W, C]`.
        path: `basic_path` or `bottleneck_path`.
        filters: Base width of the block, in channels.
        stride: Stride of the block, 1 or 2, that of its first 3x3 convolution.
        project: Whether the shortcut has a 1x1 convolution.
        name: Prefix of the names of its layers.
        output_name: Name of its last layer, the ReLU.
        settings: `BlockSettings`.

    Returns:
        Symbolic tensor `[B, ceil(H / stride), ceil(W / stride), C_out]`.
    """
    # The shortcut is built first: the official checkpoints have that order.
    shortcut = x
    if project:
        channels = filters * (4 if path is bottleneck_path else 1)
        shortcut = _shortcut(x, channels, stride, name, settings)
    x = path(x, filters, stride, name, settings)
    if settings.se_ratio:
        x = _squeeze_excite(x, filters, name, settings)
    x = keras.layers.Add(name=f"{name}_add", dtype=settings.policy)(
        [shortcut, x]
    )
    return relu(x, output_name, settings)
