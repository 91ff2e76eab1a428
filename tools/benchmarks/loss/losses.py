"""What is measured: losses with their gradients, and what is logged of z."""

import importlib.util
import unittest.mock

import numpy as np
import tensorflow as tf

from simclr_keras import contrastive
from simclr_keras.contrastive import chunking

DIMENSIONS, TEMPERATURE = 128, 0.1
_PEERS = {"keras-cv": "keras_cv", "lightly": "lightly"}
KINDS = ("whole", "tiles", "chosen", "metrics", "health", *_PEERS)


def available():
    """Kinds that can be measured here, in the order of the report."""
    return tuple(
        kind
        for kind in KINDS
        if kind not in _PEERS or importlib.util.find_spec(_PEERS[kind])
    )


def chosen(images):
    """Whether `NTXent` works on the whole matrix or in tiles, by name."""
    views = 2 * images
    return "whole" if chunking.fits(views, views, tf.float32) else "tiles"


def make(kind, images):
    """Function without arguments that computes once, to the end."""
    z = np.random.default_rng(0).normal(size=(2, images, DIMENSIONS))
    z = z.astype(np.float32)
    if kind == "lightly":
        return _lightly(z)
    views = [tf.constant(view) for view in z]
    if kind in ("metrics", "health"):
        functions = {
            "metrics": contrastive.contrastive_metrics,
            "health": contrastive.representation_health,
        }
        return _traced(functions[kind], views)
    if kind == "keras-cv":
        import keras_cv

        loss = keras_cv.losses.SimCLRLoss(temperature=TEMPERATURE)
        return _traced(_with_gradient(loss), views)
    step = _with_gradient(contrastive.NTXent(TEMPERATURE))
    if kind == "chosen":
        return _traced(step, views)
    whole = kind == "whole"
    with unittest.mock.patch.object(chunking, "fits", lambda *_: whole):
        return _traced(step, views)


def _with_gradient(loss):
    def step(z_a, z_b):
        with tf.GradientTape() as tape:
            tape.watch([z_a, z_b])
            value = tf.reduce_mean(loss(z_a, z_b))
        return value, *tape.gradient(value, [z_a, z_b])

    return step


def _traced(function, views):
    function = tf.function(function, autograph=False)
    function = function.get_concrete_function(*views)

    def run():
        # It is there when it can be read.
        for value in tf.nest.flatten(function(*views)):
            value.numpy()

    return run


def _lightly(z):
    import torch
    from lightly.loss import NTXentLoss

    loss = NTXentLoss(temperature=TEMPERATURE)
    views = [torch.tensor(view, requires_grad=True) for view in z]

    def run():
        for view in views:
            view.grad = None
        loss(*views).backward()
        for view in views:
            view.grad.numpy()

    return run
