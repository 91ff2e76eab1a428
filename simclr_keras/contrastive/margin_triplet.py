"""Computes the margin triplet loss, which is 0 beyond a margin."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras import compat
from simclr_keras import scalars
from simclr_keras.contrastive import similarity
from simclr_keras.contrastive.contrastive_loss import ContrastiveLoss
from simclr_keras.contrastive.contrastive_loss import against_other_view


def margin_triplet(
    z_a: tf.Tensor,
    z_b: tf.Tensor,
    *,
    margin: float | tf.Tensor,
    normalize: bool = True,
    semi_hard: bool = True,
    **candidates,
) -> tf.Tensor:
    """Triplet loss of each anchor, local anchors against global candidates.

    Takes what `nt_logistic` takes, with a `margin` (m, at least 0) in place of
    the temperature, and returns losses of the same shape.
    """
    return against_other_view(
        _anchor_losses,
        z_a,
        z_b,
        normalize,
        margin=margin,
        semi_hard=semi_hard,
        **candidates,
    )


def _anchor_losses(anchors, positives, candidates, own, margin, semi_hard):
    """Losses `[n]` of the anchors of one view."""
    positive = similarity.paired_similarities(anchors, positives)  # [n]
    against_all = similarity.similarities(anchors, candidates)  # [n, N]
    if not semi_hard:
        hinges = tf.nn.relu(against_all - positive[:, tf.newaxis] + margin)
        return similarity.mean_over_negatives(hinges, own)
    negative = similarity.semi_hard_negative(against_all, positive, own)
    has_negatives = tf.shape(against_all)[1] > 1
    return tf.where(
        has_negatives, tf.nn.relu(negative - positive + margin), 0.0
    )


@compat.register
class MarginTriplet(ContrastiveLoss):
    """Hinge on how much closer the positive is than a negative.

    For an anchor u with positive v+ and negative v-, all of unit length:

        max(u.v- - u.v+ + m, 0)

    Positives and negatives are taken from the view that the anchor is not
    from: v+ is the other view of its image, v- the other view of another
    image (the paper takes negatives from one view, too). Both views are
    anchors.

    Args:
        margin: m, at least 0, in units of the similarity. Default 0.8; the
            paper tunes it over 0, 0.4, 0.8 and 1.6.
        normalize: Whether rows are divided by their L2 norm (default) or
            taken as they are.
        semi_hard: Whether the negative is the closest one farther than the
            positive (default), or all N - 1 negatives count alike (their
            mean). The paper: 57.5 % and 50.9 % linear accuracy.
        name: Name of the loss.

    Raises:
        ValueError: `margin` is negative.

    Reference:
        Chen et al. 2020 (arXiv 2002.05709), tables 2 and 4, appendix B.10;
        Schroff et al., FaceNet, 2015 (arXiv 1503.03832), section 3.2.
    """

    anchor_losses = staticmethod(margin_triplet)
    arguments = ("margin", "normalize", "semi_hard")

    def __init__(
        self,
        margin: float = 0.8,
        normalize: bool = True,
        semi_hard: bool = True,
        name: str = "margin_triplet",
    ):
        super().__init__(name=name)
        if not scalars.is_real(margin) or not margin >= 0:
            raise ValueError(
                f"margin must be a number of at least 0. Received: {margin!r}"
            )
        self.margin = float(margin)
        self.normalize = bool(normalize)
        self.semi_hard = bool(semi_hard)

    def random_guess(self, num_images: int) -> float:
        """Loss when all similarities are equal: the margin."""
        del num_images
        return self.margin
