"""The networks whose training step is measured, by name."""

import dataclasses
from typing import Callable
from typing import Union

import simclr_keras as sk

IMAGE_SIZE = 32  # pixels


@dataclasses.dataclass(frozen=True)
class Network:
    """A SimCLR model to train, and how much of it makes a good measurement.

    Attributes:
        encoder: function of `global_bn` that makes the encoder.
        head: function of `global_bn` that makes the projection head.
        batch: images per replica.
        steps: training steps that are timed in a row.
        jit: of `TwoViews`; to compile them takes seconds, once.
    """

    encoder: Callable
    head: Callable
    batch: int
    steps: int
    jit: Union[bool, str] = "auto"


def _small_head(global_bn):
    return sk.ProjectionHead(num_layers=2, width=256, global_bn=global_bn)


NETWORKS = {
    "resnet18": Network(
        lambda bn: sk.ResNet(18, small_images=True, global_bn=bn),
        lambda bn: sk.ProjectionHead(global_bn=bn),
        batch=32,
        steps=2,
    ),
    # As in the quick start.
    "tiny": Network(
        lambda bn: sk.TinyResNet(global_bn=bn), _small_head, batch=128, steps=10
    ),
    # Of no use but to try this tool.
    "smallest": Network(
        lambda bn: sk.TinyResNet((4, 8), global_bn=bn),
        _small_head,
        batch=8,
        steps=2,
        jit=False,
    ),
}


def make_model(name, global_bn, model_class=sk.SimCLR):
    """A compiled model; call it in the scope of the strategy."""
    network = NETWORKS[name]
    model = model_class(
        network.encoder(global_bn),
        network.head(global_bn),
        views=sk.TwoViews(IMAGE_SIZE, jit=network.jit),
    )
    model.compile(sk.LARS(0.1), sk.NTXent())
    return model


def norm_channels(model):
    """Channels of each batch norm, in the order of the forward pass."""
    layers = [*model.encoder.layers, *model.projection_head.norm_layers]
    kind = sk.networks.BatchNormalization
    return [
        layer.moving_mean.shape[0]
        for layer in layers
        if isinstance(layer, kind)
    ]
