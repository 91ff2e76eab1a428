"""Ways to draw two views of every image, each a `Stream`.

A maker takes the size of the views in pixels; whether the images are crops of
that size already, two of each image; images in a batch; batches in a row.
"""

import itertools

import numpy as np
import tensorflow as tf

import simclr_keras as sk
from benchmarks.plain import views as plain
from benchmarks.streams import Stream


def _images(size, ready, batch):
    """uint8 images, the same in every run."""
    shape = (batch, *((2,) if ready else ()), size, size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def ours(jit):
    """Maker for `sk.TwoViews`, compiled by XLA or not."""

    def make(size, ready, batch, steps):
        images = tf.constant(_images(size, ready, batch))
        views = sk.TwoViews(size, jit=jit)
        draw = tf.function(views, autograph=False)

        def start():
            for step in itertools.count():
                pair = draw(images, tf.constant(step, tf.int64))
                float(pair[0][0, 0, 0, 0])  # then the device is done
                yield pair

        return Stream(start, batch, steps)

    return make


def per_image(size, ready, batch, steps):
    """`tf.image`, image by image in `tf.data`."""
    images = tf.data.Dataset.from_tensor_slices(_images(size, ready, batch))
    dataset = plain.pipeline(images.repeat(), size, batch, crop=not ready)
    return Stream(lambda: dataset, batch, steps)


def keras_cv_layers(size, ready, batch, steps):
    """keras-cv's layers on batches in `tf.data`."""
    from benchmarks.views import keras_cv_views

    augment = keras_cv_views.augmenter(size, crop=not ready)

    def draw(images):
        images = tf.cast(images, tf.float32) / 255.0
        pair = (images[:, 0], images[:, 1]) if ready else (images, images)
        return tuple(augment(view) for view in pair)

    images = tf.data.Dataset.from_tensors(_images(size, ready, batch))
    dataset = images.repeat().map(draw, tf.data.AUTOTUNE)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    return Stream(lambda: dataset, batch, steps)


def lightly_transforms(size, ready, batch, steps):
    """Lightly's transforms on PIL images, in two processes of a loader."""
    from benchmarks.views import lightly_views

    loader = lightly_views.loader(_images(size, ready, batch), size, ready)
    return Stream(lambda: loader, batch, steps)


MAKERS = {
    "ours, compiled": ours(jit=True),
    "ours, not compiled": ours(jit=False),
    "tf.data": per_image,
    "keras-cv": keras_cv_layers,
    "Lightly": lightly_transforms,
}
