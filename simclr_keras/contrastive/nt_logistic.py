"""Computes NT-Logistic, a logistic loss of each single pair."""

from __future__ import annotations

import math

import tensorflow as tf

from simclr_keras import compat
from simclr_keras.contrastive import similarity
from simclr_keras.contrastive.contrastive_loss import ContrastiveLoss
from simclr_keras.contrastive.contrastive_loss import against_other_view


def nt_logistic(
    z_a: tf.Tensor,
    z_b: tf.Tensor,
    *,
    temperature: float | tf.Tensor,
    normalize: bool = True,
    semi_hard: bool = True,
    **candidates,
) -> tf.Tensor:
    """NT-Logistic of each anchor, local anchors against global candidates.

    Args:
        z_a: Anchors of view a, `[n, d]`, any float type.
        z_b: Anchors of view b, `[n, d]`.
        temperature: tau, above 0; number or scalar tensor of the dtype of z.
        normalize: Whether rows are divided by their L2 norm.
        semi_hard: Whether one mined negative counts, or all of them.
        **candidates: `z_a_global`, `z_b_global` and `first_anchor`; see
            `nt_xent`.

    Returns:
        `[2, n]`, float32 (float64 for float64 input): anchors of view a, then
        those of view b.

    Raises:
        ValueError: Shapes or dtypes do not fit.
    """
    return against_other_view(
        _anchor_losses,
        z_a,
        z_b,
        normalize,
        temperature=temperature,
        semi_hard=semi_hard,
        **candidates,
    )


def _anchor_losses(anchors, positives, candidates, own, temperature, semi_hard):
    """Losses `[n]` of the anchors of one view."""
    anchors = anchors / temperature
    positive = similarity.paired_similarities(anchors, positives)  # [n]
    logits = similarity.similarities(anchors, candidates)  # [n, N]
    # -log sigmoid(x) = softplus(-x)
    attraction = tf.math.softplus(-positive)
    if not semi_hard:
        return attraction + similarity.mean_over_negatives(
            tf.math.softplus(logits), own
        )
    negative = similarity.semi_hard_negative(logits, positive, own)
    repulsion = tf.math.softplus(negative)
    has_negatives = tf.shape(logits)[1] > 1
    return attraction + tf.where(has_negatives, repulsion, 0.0)


@compat.register
class NTLogistic(ContrastiveLoss):
    """Normalised temperature-scaled logistic loss over two views.

    For an anchor u with positive v+ and negative v-, all of unit length:

        -log sigmoid(u.v+ / tau) - log sigmoid(-u.v- / tau)

    Positives and negatives are taken from the view that the anchor is not
    from: v+ is the other view of its image, v- the other view of another
    image (the paper takes negatives from one view, too). Both views are
    anchors.

    Args:
        temperature: tau, above 0. Default 0.1; the paper tunes it over 0.1,
            0.2, 0.5 and 1.
        normalize: Whether rows are divided by their L2 norm (default) or
            taken as they are.
        semi_hard: Whether the negative is the closest one farther than the
            positive (default), or all N - 1 negatives count alike (their
            mean). The paper: 57.9 % and 51.6 % linear accuracy.
        name: Name of the loss.

    Raises:
        ValueError: `temperature` out of range.

    Reference:
        Chen et al. 2020 (arXiv 2002.05709), tables 2 and 4, appendix B.10.
    """

    anchor_losses = staticmethod(nt_logistic)
    arguments = ("temperature", "normalize", "semi_hard")

    def __init__(
        self,
        temperature: float = 0.1,
        normalize: bool = True,
        semi_hard: bool = True,
        name: str = "nt_logistic",
    ):
        super().__init__(name=name)
        similarity.check_positive("temperature", temperature)
        self.temperature = float(temperature)
        self.normalize = bool(normalize)
        self.semi_hard = bool(semi_hard)

    def random_guess(self, num_images: int) -> float:
        """Loss when all views are orthogonal: `2 log 2`, for any batch."""
        del num_images
        return 2 * math.log(2)
