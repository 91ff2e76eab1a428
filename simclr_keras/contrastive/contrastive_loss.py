"""Defines the base class of the contrastive losses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from simclr_keras.contrastive import similarity


class ContrastiveLoss(keras.losses.Loss):
    """A loss over two views `z_a`, `z_b` of the same images, as a scalar.

    Keras's casting and weighting are bypassed: the first would turn float64
    into float32, and the second has no meaning for pairs.

    A subclass sets the two attributes and defines `random_guess`. Arguments
    that the function does not take, such as `view_reduction` of `NTXent`, are
    added by its `get_config`.

    Attributes:
        anchor_losses: function of `z_a`, `z_b` and the arguments below that
            returns one value per anchor, `[2, n]` (first the anchors of view
            a).
        arguments: names of its arguments, which are attributes of the loss.
    """

    anchor_losses = None
    arguments = ()

    def __call__(self, z_a, z_b, sample_weight=None, **candidates):
        """Mean loss over the 2n anchors.

        Args:
            z_a: First view, `[n, d]`, any float type.
            z_b: Second view, `[n, d]`; row i shows the image of row i of
                `z_a`.
            sample_weight: Must be None; present because Keras passes it.
            **candidates: `z_a_global`, `z_b_global` `[N, d]` and
                `first_anchor`, if the anchors are one replica's or one block's
                part of the batch; see `nt_xent`. For a loss that takes labels
                also `labels` `[n]` and `labels_global` `[N]`.

        Returns:
            Scalar, float32 (float64 for float64 input).

        Raises:
            ValueError: A weight is given, labels are missing, or the shapes do
                not fit.
        """
        if sample_weight is not None:
            raise ValueError(
                f"{self.name} does not take sample weights: an image is both"
                " an anchor and a candidate of all others."
                f" Received: sample_weight={sample_weight}"
            )
        if self.takes_labels and candidates.get("labels") is None:
            raise ValueError(
                f"{self.name} needs the classes of the images: labels=..., one"
                " integer for each. Received: none"
            )
        with tf.name_scope(self.name):
            return self.reduce(self.call(z_a, z_b, **candidates))

    def call(self, z_a: tf.Tensor, z_b: tf.Tensor, **candidates) -> tf.Tensor:
        """Losses of the anchors, `[2, n]`."""
        return self.anchor_losses(z_a, z_b, **self._settings(), **candidates)

    @property
    def takes_labels(self) -> bool:
        """Whether `call` or `anchor_losses` has the argument `labels`."""
        return _has_labels(self.call) or _has_labels(self.anchor_losses)

    def _settings(self):
        return {name: getattr(self, name) for name in self.arguments}

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal loss."""
        return {**self._settings(), "name": self.name}

    def reduce(self, anchor_losses: tf.Tensor) -> tf.Tensor:
        """Reduces the `[2, n]` values of the anchors to a scalar."""
        return tf.reduce_mean(anchor_losses)

    def random_guess(self, num_images: int) -> float:
        """Loss of an encoder that cannot tell images apart, for the log."""
        raise NotImplementedError


def takes_labels(loss: Any) -> bool:
    """Whether a loss of two views takes the classes of their images.

    Args:
        loss: `ContrastiveLoss`, or another callable, which takes them if it has
            an argument named `labels`.
    """
    if isinstance(loss, ContrastiveLoss):
        return loss.takes_labels
    return callable(loss) and _has_labels(loss)


def _has_labels(function):
    try:
        return "labels" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # no function, or not a Python one
        return False


def against_other_view(
    anchor_losses: Callable[..., tf.Tensor],
    z_a: tf.Tensor,
    z_b: tf.Tensor,
    normalize: bool,
    z_a_global: tf.Tensor | None = None,
    z_b_global: tf.Tensor | None = None,
    first_anchor: int | tf.Tensor = 0,
    **settings,
) -> tf.Tensor:
    """Losses of anchors whose candidates are the rows of the other view.

    Args:
        anchor_losses: function of the anchors of one view `[n, d]`, their
            positives `[n, d]`, the candidates of the other view `[N, d]` and
            a mask `[n, N]` of each anchor's own image, and the settings;
            returns `[n]`.
        z_a: Anchors of view a, `[n, d]`, any float type.
        z_b: Anchors of view b, `[n, d]`.
        normalize: Whether rows are divided by their L2 norm.
        z_a_global: Candidates of view a, `[N, d]`; default: `z_a`.
        z_b_global: Candidates of view b, `[N, d]`; default: `z_b`.
        first_anchor: Row of the candidates that equals the first anchor.
        **settings: further arguments of `anchor_losses`.

    Returns:
        `[2, n]`, float32 (float64 for float64 input): anchors of view a, then
        those of view b.

    Raises:
        ValueError: Shapes or dtypes do not fit.
    """
    a, b, a_global, b_global = similarity.prepare_views(
        z_a, z_b, normalize, z_a_global, z_b_global
    )
    own = similarity.own_columns(a, a_global, first_anchor)
    return tf.stack(
        [
            anchor_losses(a, b, b_global, own, **settings),
            anchor_losses(b, a, a_global, own, **settings),
        ]
    )
