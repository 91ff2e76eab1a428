"""What is trained, by name: with our layers, and with Keras's."""

import dataclasses
import functools
from typing import Callable
from typing import Union

import simclr_keras as sk
from benchmarks import flops
from benchmarks.plain import network as plain

Z_DIM = 128


@dataclasses.dataclass(frozen=True)
class Network:
    """An encoder with its head, and how much of it makes a measurement.

    Attributes:
        title: for the reader.
        encoder: function that makes ours.
        plain_encoder: function that makes the same of stock layers.
        layers: of the projection head.
        width: of its hidden layers; None: that of h.
        image_size: in pixels.
        batch: images in a step.
        steps: that are timed in a row.
        jit: of `TwoViews`; to compile them takes seconds, once.
    """

    title: str
    encoder: Callable
    plain_encoder: Callable
    layers: int
    width: int
    image_size: int
    batch: int
    steps: int
    jit: Union[bool, str] = "auto"

    def ours(self):
        """Pair of encoder and projection head."""
        head = sk.ProjectionHead(
            num_layers=self.layers, width=self.width, out_dim=Z_DIM
        )
        return self.encoder(), head

    def plain(self):
        """The same, of stock layers."""
        encoder = self.plain_encoder()
        head = plain.projection_head(
            encoder.output_shape[-1], self.layers, self.width, Z_DIM
        )
        return encoder, head

    def training_flops(self, batch):
        """Operations of a training step on a batch of so many images."""
        encoder, head = self.ours()
        return flops.training(
            lambda images: head(encoder(images)),
            batch,
            (self.image_size, self.image_size, 3),
            Z_DIM,
        )


NETWORKS = {
    "resnet18": Network(
        "ResNet-18, small stem",
        functools.partial(sk.ResNet, 18, small_images=True),
        functools.partial(plain.resnet, 18, small_images=True),
        layers=3,
        width=None,
        image_size=32,
        batch=256,
        steps=2,
    ),
    "resnet50": Network(
        "ResNet-50",
        functools.partial(sk.ResNet, 50),
        functools.partial(plain.resnet, 50, small_images=False),
        layers=3,
        width=None,
        image_size=224,
        batch=16,
        steps=2,
    ),
    "tiny": Network(
        "Quick start's `tiny`",
        sk.TinyResNet,
        plain.tiny_resnet,
        layers=2,
        width=256,
        image_size=32,
        batch=128,
        steps=10,
    ),
    # Of no use but to try this tool.
    "smallest": Network(
        "Smallest",
        functools.partial(sk.TinyResNet, (4, 8)),
        functools.partial(plain.tiny_resnet, (4, 8)),
        layers=2,
        width=8,
        image_size=16,
        batch=8,
        steps=2,
        jit=False,
    ),
}
