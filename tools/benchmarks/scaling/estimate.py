"""What a training step would take on many devices: an estimate, by a model.

Nothing here is measured but, where the table says so, what software adds.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Link:
    """How the devices are connected.

    Attributes:
        name: for the reader.
        bytes_per_second: that each device can send while it receives as many.
        latency_seconds: from sending a message to its arrival.
        collective_seconds: that a collective takes besides its messages.
            Default 0.
    """

    name: str
    bytes_per_second: float
    latency_seconds: float
    collective_seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Seconds of a step, part by part.

    Attributes:
        parts: dict of "compute", "gradients", "z" and "batch norm" -> seconds.
    """

    parts: dict

    @property
    def seconds(self):
        """The whole step: one part after the other."""
        return sum(self.parts.values())

    @property
    def efficiency(self):
        """Share of the step that is computation."""
        return self.parts["compute"] / self.seconds

    @property
    def binds(self):
        """The part that takes longest."""
        return max(self.parts, key=self.parts.get)


def ring_messages(devices):
    """Messages one after the other of an all-reduce in a ring."""
    return 2 * (devices - 1)


def tree_messages(devices):
    """The same up and down a binary tree."""
    return 2 * math.ceil(math.log2(devices))


def all_reduce_seconds(
    size, devices, link, collectives=1, messages=ring_messages
):
    """Seconds of all-reduces of `size` bytes in all.

    Each device sends 2 (n - 1) / n of the bytes and, in each collective, waits
    for the latency of as many messages as come one after the other.
    """
    sent = 2 * (devices - 1) / devices * size
    wait = link.collective_seconds + messages(devices) * link.latency_seconds
    return collectives * wait + sent / link.bytes_per_second


def step_time(
    compute_seconds,
    devices,
    link,
    *,
    gradient_bytes,
    z_bytes,
    norm_bytes,
    norm_collectives,
    messages=ring_messages,
):
    """Estimates one training step; nothing overlaps.

    Args:
        compute_seconds: of one device's part, with nobody to wait for.
        devices: how many, n.
        link: `Link` between them.
        gradient_bytes: of all gradients, which one collective sums.
        z_bytes: of both views' rows of all devices; `replicas.gather` sums
            them among zeros, once forward and once back.
        norm_bytes: of all collectives of batch norm together.
        norm_collectives: their number.
        messages: function of n: messages one after the other in a collective.

    Returns:
        `Estimate`.
    """

    def exchange(size, collectives):
        return all_reduce_seconds(size, devices, link, collectives, messages)

    return Estimate(
        {
            "compute": compute_seconds,
            "gradients": exchange(gradient_bytes, 1),
            "z": exchange(2 * z_bytes, 2),
            "batch norm": exchange(norm_bytes, norm_collectives),
        }
    )


# What the table assumes.
BATCH, DEVICES, IMAGE_SIZE = 4096, (8, 32, 128), 224
FLOPS_PER_SECOND = 50e12  # sustained by one device in bfloat16
LINKS = (
    Link("Ethernet, 10 Gbit/s", 10e9 / 8, 50e-6),
    Link("Ethernet, 100 Gbit/s", 100e9 / 8, 10e-6),
    Link("NVLink-like, 300 GB/s", 300e9, 3e-6),
)


@dataclasses.dataclass(frozen=True)
class Counts:
    """What is counted on the model itself.

    Attributes:
        parameters: trainable ones, of encoder and projection head.
        norm_layers: number of batch norms.
        norm_channels: their channels together.
        z_dim: width of z.
        forward_flops: operations of one image's forward pass, a product and
            its sum being two.
    """

    parameters: int
    norm_layers: int
    norm_channels: int
    z_dim: int
    forward_flops: float


def of_many_devices(counts, devices, link, messages=ring_messages):
    """`Estimate` of a global batch of `BATCH` on so many devices."""
    # Back takes twice what forward takes; there are two views.
    flops = 3 * 2 * BATCH / devices * counts.forward_flops
    moments = 2 * 4 * counts.norm_channels
    return step_time(
        flops / FLOPS_PER_SECOND,
        devices,
        link,
        gradient_bytes=4 * counts.parameters,
        z_bytes=2 * 4 * BATCH * counts.z_dim,
        # Forward the moments of each device lie side by side, back they add up.
        norm_bytes=(devices + 1) * moments,
        norm_collectives=2 * counts.norm_layers,
        messages=messages,
    )


def count_resnet50():
    """`Counts` of ResNet-50 and the two layers of SimCLR's head."""
    import tensorflow as tf

    import simclr_keras as sk
    from benchmarks import flops
    from benchmarks.scaling import networks

    size = (IMAGE_SIZE, IMAGE_SIZE, 3)
    model = sk.SimCLR(
        sk.ResNet(50),
        sk.ProjectionHead(num_layers=2),
        views=sk.TwoViews(IMAGE_SIZE),
    )
    forward_flops, _ = flops.forward(
        lambda x: model(x)["z"], tf.TensorSpec((1, *size))
    )
    channels = networks.norm_channels(model)
    return Counts(
        parameters=sum(math.prod(v.shape) for v in model.trainable_variables),
        norm_layers=len(channels),
        norm_channels=sum(channels),
        z_dim=model.projection_head.out_dim,
        forward_flops=forward_flops,
    )
