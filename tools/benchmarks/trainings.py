"""Builds trainings of named networks, with our layers and with Keras's."""

import contextlib
import dataclasses
import functools
import time
from typing import Callable
from typing import Union

import keras
import numpy as np
import tensorflow as tf

import simclr_keras as sk
from benchmarks import plain_keras
from benchmarks import plain_views
from simclr_keras.networks import kernel_gradient


@dataclasses.dataclass(frozen=True)
class Network:
    """An encoder with its projection head, and the defaults of a measurement.

    Attributes:
        title: name in tables.
        encoder: function that makes our encoder.
        plain_encoder: function that makes the same encoder from stock layers.
        layers: number of layers of the projection head.
        width: width of its hidden layers; None: that of h.
        image_size: side of the images in pixels.
        batch: images in a step.
        steps: number of steps to time in a row.
        jit: see `TwoViews`; compiling takes seconds, once.
    """

    title: str
    encoder: Callable
    plain_encoder: Callable
    layers: int = 3
    width: Union[int, None] = None
    image_size: int = 32
    batch: int = 256
    steps: int = 2
    jit: Union[bool, str] = "auto"

    def ours(self):
        """Pair of encoder and projection head."""
        head = sk.ProjectionHead(
            num_layers=self.layers, width=self.width, out_dim=128
        )
        return self.encoder(), head

    def plain(self):
        """The same pair, made of stock layers."""
        encoder = self.plain_encoder()
        head = plain_keras.projection_head(
            encoder.output_shape[-1], self.layers, self.width
        )
        return encoder, head


NETWORKS = {
    "resnet18": Network(
        "ResNet-18, small stem",
        functools.partial(sk.ResNet, 18, small_images=True),
        functools.partial(plain_keras.resnet, 18, small_images=True),
    ),
    "resnet50": Network(
        "ResNet-50",
        functools.partial(sk.ResNet, 50),
        functools.partial(plain_keras.resnet, 50, small_images=False),
        image_size=224,
        batch=16,
    ),
    "tiny": Network(
        "Quick start's `tiny`",
        sk.TinyResNet,
        plain_keras.tiny_resnet,
        layers=2,
        width=256,
        batch=128,
        steps=10,
    ),
    # Only to test this tool.
    "smallest": Network(
        "Smallest",
        functools.partial(sk.TinyResNet, (4,)),
        functools.partial(plain_keras.tiny_resnet, (4,)),
        layers=2,
        width=8,
        image_size=16,
        batch=8,
        jit=False,
    ),
}


class GivenViews(keras.layers.Layer):
    """Replaces `TwoViews`: returns views that were drawn in advance."""

    def __init__(self, image_size):
        super().__init__(dtype="float32")
        self.size = (image_size, image_size)
        self.built = True

    def call(self, images, step, positions=None, first_view=0):
        """Splits given views `[B, 2, S, S, 3]` into a pair."""
        return images[:, 0], images[:, 1]


@dataclasses.dataclass(frozen=True)
class Training:
    """A compiled model and endless batches for it.

    Attributes:
        model: `sk.SimCLR` or `plain_keras.SimCLR`.
        dataset: its batches.
        precision: such as `"float32"` or `"bfloat16"`.
        by_taps: whether gradients of kernels may be products for each tap.
    """

    model: keras.Model
    dataset: tf.data.Dataset
    precision: str
    by_taps: bool = True

    def fit(self, steps):
        """Trains; returns the time when each step ended, in seconds."""
        clock = _Clock()
        with _policy(self.precision), _kernel_gradients(self.by_taps):
            self.model.fit(
                self.dataset,
                steps_per_epoch=steps,
                verbose=0,
                shuffle=False,
                callbacks=[clock],
            )
        return clock.ended

    def step_seconds(self, steps):
        """Mean seconds of a step, after one that traces or fills buffers."""
        ended = self.fit(1 + steps)
        return (ended[-1] - ended[0]) / steps


def ours(
    network,
    precision,
    batch,
    given=False,
    jit=False,
    micro_batch=None,
    by_taps=True,
):
    """`Training` of `sk.SimCLR` on uint8 images in memory.

    Args:
        network: `Network`.
        precision: such as `"float32"` or `"bfloat16"`.
        batch: images in a step.
        given: whether the views, float32, are drawn in advance.
        jit: whether XLA compiles the step as a whole.
        micro_batch: `micro_batch_size` of the model.
        by_taps: see `Training`.
    """
    size = network.image_size
    with _policy(precision):
        views = (
            GivenViews(size) if given else sk.TwoViews(size, jit=network.jit)
        )
        model = sk.SimCLR(*network.ours(), views, micro_batch_size=micro_batch)
        model.compile(sk.LARS(0.1), sk.NTXent(), jit_compile=jit)
    images = _ready_views(batch, size) if given else _images(batch, size)
    dataset = tf.data.Dataset.from_tensors(images).repeat()
    return Training(model, dataset, precision, by_taps)


def plain(network, precision, batch, given=False, jit=False):
    """`Training` of `plain_keras.SimCLR`; see `ours` for the arguments.

    Without `given`, tf.data draws the views.
    """
    size = network.image_size
    with _policy(precision):
        model = plain_keras.SimCLR(*network.plain())
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, jit_compile=jit)
    if given:
        views = _ready_views(batch, size)
        dataset = tf.data.Dataset.from_tensors((views[:, 0], views[:, 1]))
        dataset = dataset.repeat()
    else:
        dataset = tf.data.Dataset.from_tensor_slices(_images(batch, size))
        dataset = plain_views.pipeline(dataset.repeat(), size, batch)
    return Training(model, dataset, precision)


class _Clock(keras.callbacks.Callback):
    """Records the time at which each step has ended."""

    def __init__(self):
        super().__init__()
        self.ended = []

    def on_train_batch_end(self, batch, logs=None):
        # The device may still be computing until the loss has been read.
        loss = float(np.ravel(logs["loss"])[0])
        if not np.isfinite(loss):
            raise ValueError(f"the loss is not finite after step {batch}")
        self.ended.append(time.perf_counter())


@contextlib.contextmanager
def _policy(precision):
    before = keras.mixed_precision.global_policy()
    name = precision if precision == "float32" else f"mixed_{precision}"
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


@contextlib.contextmanager
def _kernel_gradients(by_taps):
    """What is traced within uses products for each tap only if `by_taps`."""
    original = kernel_gradient.is_faster
    if not by_taps:
        kernel_gradient.is_faster = lambda *_: False
    try:
        yield
    finally:
        kernel_gradient.is_faster = original


def _images(batch, size, views=()):
    """Random uint8 images, the same in every run."""
    shape = (batch, *views, size, size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _ready_views(batch, size):
    return _images(batch, size, (2,)).astype(np.float32) / 255
