"""Augments the training images of a classifier."""

from __future__ import annotations

import functools

import keras
import tensorflow as tf

from simclr_keras import randomness
from simclr_keras.distribute import replicas
from simclr_keras.images import xla
from simclr_keras.models import pixels
from simclr_keras.views import View


class Augmentation:
    """One view of each image of a batch, by a `View` or another layer.

    A `View` draws as a pure function of seed, step and position in the global
    batch, and is compiled by XLA where that is possible.

    Args:
        views: `View`, or any Keras layer.
        seed: integer.
    """

    def __init__(self, views: keras.layers.Layer, seed: int):
        self._views = views
        self._seed = seed

    def __call__(
        self, images: tf.Tensor, step: tf.Tensor, crops_are_ready: bool
    ) -> tf.Tensor:
        """Augments images of this replica.

        Args:
            images: `[B, H, W, C]`, uint8 in [0, 255] or float in [0, 1].
            step: int64 scalar, number of the training step.
            crops_are_ready: whether the images are crops already.

        Returns:
            float tensor `[B, S, S, C]` in [0, 1].
        """
        if not isinstance(self._views, View):
            images = pixels.to_float(images, images.shape[-1])
            return self._views(images, training=True)
        seeds = randomness.stateless_seeds(
            self._seed,
            step,
            replicas.positions(tf.shape(images)[0]),
            view=0,
        )
        drawn = self._compiled_draw(images, seeds, crops_are_ready)
        return self._views.finish(drawn, seeds)

    @functools.cached_property
    def _compiled_draw(self):
        return xla.compile_with_xla(self._views.draw)
