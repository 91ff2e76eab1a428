"""Suite loss: NT-Xent and its gradient, beside dense NT-Xent and keras-cv.

The input is two views of N images, on one replica. The metrics that training
computes from z at every step, and the health of the representation at every
tenth, are measured too. Memory is the increase of the peak by one run, in a new
process.
"""

import importlib.util

import numpy as np
import tensorflow as tf

from benchmarks import measure
from benchmarks import plain_keras
from simclr_keras import contrastive

_BATCHES = (512, 2048, 8192, 65536)
# With more images, a [2N, 2N] matrix takes tens of GB and a run takes minutes,
# so only our loss is measured, once.
_LARGE = 16384
_DIMENSIONS, _TEMPERATURE = 128, 0.1
_OURS, _DENSE, _KERAS_CV = "NTXent", "dense NT-Xent, plain Keras", "keras-cv"
_METRICS, _HEALTH = "contrastive_metrics", "representation_health"


def define_flags(parser):
    """Adds no flag: `--batch` is N, by default 512, 2048, 8192, 65536."""


def run(options):
    """Yields a `measure.Comparison` for each N."""
    for images in options.batch or _BATCHES:
        names, repeats = [_OURS], 1
        if images <= _LARGE:
            names += [_DENSE, _METRICS, _HEALTH]
            repeats = options.repeats
            if importlib.util.find_spec("keras_cv"):
                names.append(_KERAS_CV)
        subjects = {name: measure.timed(make(name, images)) for name in names}
        what = f"N = {images:,}"
        yield measure.Comparison(
            what,
            f"Two views of N images, float32, z of {_DIMENSIONS}.",
            measure.in_turn(subjects, repeats, what),
            reference={name: _OURS for name in names if name != _OURS},
            peak_bytes={
                name: measure.in_new_process(added_bytes, name, images)
                for name in names
            },
        )


def make(name, images):
    """Function without arguments that computes once and awaits the result."""
    z = np.random.default_rng(0).normal(size=(2, images, _DIMENSIONS))
    z_a, z_b = (tf.constant(view, tf.float32) for view in z)
    if name == _METRICS:
        function = contrastive.contrastive_metrics
    elif name == _HEALTH:
        function = contrastive.representation_health
    else:
        function = _with_gradient(_loss(name))
    function = tf.function(function, autograph=False)

    def run():
        # A device may still be computing until a value has been read.
        for value in tf.nest.flatten(function(z_a, z_b)):
            value.numpy()

    return run


def _loss(name):
    if name == _OURS:
        return contrastive.NTXent(_TEMPERATURE)
    if name == _DENSE:
        return plain_keras.nt_xent
    import keras_cv

    return keras_cv.losses.SimCLRLoss(temperature=_TEMPERATURE)


def _with_gradient(loss):
    def step(z_a, z_b):
        with tf.GradientTape() as tape:
            tape.watch([z_a, z_b])
            value = tf.reduce_mean(loss(z_a, z_b))
        return value, *tape.gradient(value, [z_a, z_b])

    return step


def added_bytes(name, images):
    """Increase of this process's peak memory by one run, in bytes.

    A run with 8 images comes first, for the memory that does not depend on N.
    """
    make(name, 8)()
    run = make(name, images)
    before = measure.peak_bytes()
    run()
    return measure.peak_bytes() - before
