"""Computes NT-Xent, SimCLR's loss: each view must find its partner."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from simclr_keras import compat
from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import similarity
from simclr_keras.contrastive import tiles
from simclr_keras.contrastive.contrastive_loss import ContrastiveLoss

VIEW_REDUCTIONS = ("mean", "sum")


def nt_xent(
    z_a: tf.Tensor,
    z_b: tf.Tensor,
    *,
    temperature: float | tf.Tensor,
    normalize: bool = True,
    z_a_global: tf.Tensor | None = None,
    z_b_global: tf.Tensor | None = None,
    first_anchor: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Computes NT-Xent of each anchor, local anchors against all candidates.

    With one replica, anchors and candidates are the same rows. With several
    replicas, or if the batch is processed in parts, `z_a` and `z_b` are some of
    the rows of `z_a_global` and `z_b_global`; gradients flow through all four.

    If the matrix of logits would be larger than 16 MiB (64 on accelerators), or
    its size is unknown, it is computed in tiles: memory grows with n + N, not
    with n N.
    Values and gradients are the same up to rounding; second derivatives exist
    only without tiles.

    Args:
        z_a: Anchors of view a, `[n, d]`, any float type.
        z_b: Anchors of view b, `[n, d]`.
        temperature: tau, above 0; number or scalar tensor of the dtype of z.
        normalize: Whether rows are divided by their L2 norm.
        z_a_global: Candidates of view a, `[N, d]`; default: `z_a`.
        z_b_global: Candidates of view b, `[N, d]`; default: `z_b`.
        first_anchor: Row of the candidates that equals the first anchor; int
            or scalar integer tensor.

    Returns:
        `[2, n]`, float32 (float64 for float64 input): anchors of view a, then
        those of view b. Their mean is the paper's loss.

    Raises:
        ValueError: Shapes or dtypes do not fit.
    """
    a, b, a_global, b_global = similarity.prepare_views(
        z_a, z_b, normalize, z_a_global, z_b_global
    )
    n, num_images = chunking.shape(a)[0], chunking.shape(a_global)[0]
    if chunking.fits_one_tile(2 * n, 2 * num_images, a.dtype):
        return _dense(a, b, a_global, b_global, first_anchor, temperature)
    views_global = None if z_a_global is None else (a_global, b_global)
    return _tiled((a, b), views_global, first_anchor, temperature)


def _tiled(views, views_global, first_anchor, temperature):
    """Losses `[2, n]` in memory that is linear in n and N."""
    temperature = tf.convert_to_tensor(temperature, views[0].dtype)
    # Both factors are divided by sqrt(tau), so that anchors and candidates can
    # be the same tensor, which makes the products symmetric.
    scale = tf.sqrt(temperature)

    def scaled_pairs(a, b):
        # The two views of an image side by side: [n, 2, d] -> [2n, d]
        pairs = tf.stack([a, b], axis=1) / scale
        return tf.reshape(pairs, [-1, chunking.shape(a)[1]])

    negatives = tiles.log_sum_negatives(
        scaled_pairs(*views),
        views_global and scaled_pairs(*views_global),
        first_anchor,
    )
    positive = similarity.paired_similarities(views[0] / temperature, views[1])
    negatives = tf.transpose(tf.reshape(negatives, [-1, 2]))
    return tf.math.softplus(negatives - positive)


def _dense(a, b, a_global, b_global, first_anchor, temperature):
    """Losses `[2, n]` from the whole matrix of logits."""
    own = similarity.own_columns(a, a_global, first_anchor)
    return tf.stack(
        [
            _anchor_losses(a, b, a_global, b_global, own, temperature),
            _anchor_losses(b, a, b_global, a_global, own, temperature),
        ]
    )


def _anchor_losses(anchors, positives, same_view, other_view, own, temperature):
    """Losses `[n]` of the anchors of one view."""
    # Divides before the product: n x d divisions instead of n x 2N.
    anchors = anchors / temperature
    positive = similarity.paired_similarities(anchors, positives)  # [n]
    against_other = similarity.similarities(anchors, other_view)  # [n, N]
    against_same = similarity.similarities(anchors, same_view)  # [n, N]
    # Masks the positive in the other view and the anchor itself in its own
    # view, which are in the same column. Exp of the lowest float is exactly 0,
    # however large the logits are, and unlike -inf it has a gradient.
    lowest = anchors.dtype.min
    negatives = tf.concat(
        [
            tf.where(own, lowest, against_other),
            tf.where(own, lowest, against_same),
        ],
        axis=1,
    )  # [n, 2N]
    # -log(e^p / (e^p + sum_k e^k)) = log(1 + e^(log sum_k e^k - p)) keeps its
    # precision if the loss is close to zero.
    return tf.math.softplus(tf.reduce_logsumexp(negatives, axis=1) - positive)


@compat.register
class NTXent(ContrastiveLoss):
    """Normalised temperature-scaled cross entropy over two views.

    Every one of the 2N views of a batch of N images is an anchor once. Its
    positive is the other view of its image, its negatives are the remaining
    2N - 2 views:

        l(i, j) = -log(exp(s_ij / tau) / sum_{k != i} exp(s_ik / tau))

    Computed in float32 at least, under every dtype policy.

    Args:
        temperature: tau, above 0. Default 0.1, the paper's choice on ImageNet
            (0.5 on CIFAR-10).
        normalize: Whether s is the cosine similarity (default) or the plain
            inner product.
        view_reduction: `"mean"` (default) over the 2N anchors, as in the
            paper, or `"sum"` of the two directions' means: the value that the
            official code reports, exactly twice the other.
        name: Name of the loss.

    Raises:
        ValueError: `temperature` or `view_reduction` out of range.

    Example:

    >>> loss = NTXent(temperature=0.5)
    >>> z_a = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    >>> float(loss(z_a, z_a))  # log(1 + 2 exp(-1 / 0.5))
    0.23954...

    Reference:
        Chen et al., A Simple Framework for Contrastive Learning of Visual
        Representations, 2020 (arXiv 2002.05709), equation 1, algorithm 1.
    """

    anchor_losses = staticmethod(nt_xent)
    arguments = ("temperature", "normalize")

    def __init__(
        self,
        temperature: float = 0.1,
        normalize: bool = True,
        view_reduction: str = "mean",
        name: str = "nt_xent",
    ):
        super().__init__(name=name)
        similarity.check_positive("temperature", temperature)
        if view_reduction not in VIEW_REDUCTIONS:
            raise ValueError(
                f"view_reduction must be one of {VIEW_REDUCTIONS}."
                f" Received: view_reduction={view_reduction!r}"
            )
        self.temperature = float(temperature)
        self.normalize = bool(normalize)
        self.view_reduction = view_reduction

    def reduce(self, anchor_losses: tf.Tensor) -> tf.Tensor:
        """Mean of `[2, n]` over all, or sum of the two views' means."""
        return self._views * tf.reduce_mean(anchor_losses)

    def random_guess(self, num_images: int) -> float:
        """Loss if all similarities are equal: `log(2N - 1)`.

        Args:
            num_images: N, images in the global batch.

        Returns:
            Python float; twice `log(2N - 1)` for `view_reduction="sum"`.
        """
        return self._views * math.log(2 * num_images - 1)

    @property
    def _views(self):
        return 2.0 if self.view_reduction == "sum" else 1.0

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the loss."""
        return {**super().get_config(), "view_reduction": self.view_reduction}
