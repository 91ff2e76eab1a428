"""Training steps to compare, each a model, its batches, its compiled step."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

import simclr_keras as sk
from benchmarks.plain import model as plain_model
from benchmarks.plain import views as plain_views


class Given(keras.layers.Layer):
    """Takes the place of `TwoViews`: hands on views that were made before."""

    def __init__(self, image_size):
        super().__init__(dtype="float32")
        self.size = (image_size, image_size)
        self.built = True

    def call(self, images, step, positions=None, first_view=0):
        """Of ready views `[B, 2, S, S, 3]`, one and the other."""
        return images[:, 0], images[:, 1]


class Training:
    """A model that trains on the batches of a data set.

    Args:
        model: compiled, built `keras.Model`.
        dataset: endless `tf.data.Dataset`.
        steps: to be timed in a row.
        warm_up: steps before these, until buffers are as full as they stay;
            batches in memory need none.
    """

    def __init__(self, model, dataset, steps, warm_up=0):
        self._model, self._dataset = model, dataset
        self._steps, self._warm_up = steps, warm_up
        self.peak_bytes = None
        model.make_train_function()
        self._train(iter(dataset), 2)  # the first one traces

    def run(self, timer):
        """Trains on a new iterator; returns the number of steps."""
        # No pipeline works ahead, and takes the cores, while others are timed.
        batches = iter(self._dataset)
        self._train(batches, self._warm_up)
        with _peak_memory() as peaks:
            timer.start()
            self._train(batches, self._steps)
            timer.stop()
        self.peak_bytes = max([self.peak_bytes or 0, *peaks]) or None
        return self._steps

    def _train(self, batches, steps):
        if not steps:
            return
        for _ in range(steps):
            logs = self._model.train_function(batches)
        # The device has done the steps when this can be read, not before.
        loss = float(np.ravel(logs["loss"])[0])
        if not np.isfinite(loss):
            raise RuntimeError(f"the loss is no number after {steps} steps")


@contextlib.contextmanager
def _peak_memory():
    """List that will hold the peak of the device's memory, if it is a GPU."""
    peaks = []
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        tf.config.experimental.reset_memory_stats("GPU:0")
    yield peaks
    if gpus:
        peaks.append(tf.config.experimental.get_memory_info("GPU:0")["peak"])


@contextlib.contextmanager
def _policy(precision):
    before = keras.mixed_precision.global_policy()
    name = precision if precision == "float32" else f"mixed_{precision}"
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def _images(batch, size, views=()):
    """uint8 images, the same in every run."""
    shape = (batch, *views, size, size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _repeated(elements):
    return tf.data.Dataset.from_tensors(elements).repeat()


def ours(network, precision, batch, steps, given=False, jit=False):
    """`Training` of `sk.SimCLR` on uint8 images in memory.

    Args:
        network: `networks.Network`.
        precision: `"float32"` or `"bfloat16"`.
        batch: images in a step.
        steps: to be timed in a row.
        given: whether the views were made before, float32.
        jit: whether XLA compiles the step as a whole.
    """
    size = network.image_size
    images = _images(batch, size, (2,) if given else ())
    if given:
        images = images.astype(np.float32) / 255
    with _policy(precision):
        views = Given(size) if given else sk.TwoViews(size, jit=network.jit)
        model = sk.SimCLR(*network.ours(), views)
        model.compile(sk.LARS(0.1), sk.NTXent(), jit_compile=jit)
        model.build_state()
        return Training(model, _repeated(images), steps)


def plain(network, precision, batch, steps, given=False, jit=False):
    """The same of the plain model; its views are drawn image by image."""
    size = network.image_size
    if given:
        views = _images(batch, size, (2,)).astype(np.float32) / 255
        dataset = _repeated((views[:, 0], views[:, 1]))
    else:
        dataset = tf.data.Dataset.from_tensor_slices(_images(batch, size))
        dataset = plain_views.pipeline(dataset.repeat(), size, batch)
    with _policy(precision):
        model = plain_model.SimCLR(*network.plain())
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, jit_compile=jit)
        optimizer.build(model.trainable_variables)
        return Training(model, dataset, steps, warm_up=0 if given else 1)
