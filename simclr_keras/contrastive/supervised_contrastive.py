"""Computes the supervised contrastive loss: images of one class attract."""

from __future__ import annotations

import math

import tensorflow as tf

from simclr_keras import compat
from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import similarity
from simclr_keras.contrastive.contrastive_loss import ContrastiveLoss
from simclr_keras.contrastive.nt_xent import nt_xent


def supervised_contrastive(
    z_a: tf.Tensor,
    z_b: tf.Tensor,
    *,
    labels: tf.Tensor,
    temperature: float | tf.Tensor,
    normalize: bool = True,
    z_a_global: tf.Tensor | None = None,
    z_b_global: tf.Tensor | None = None,
    labels_global: tf.Tensor | None = None,
    first_anchor: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Supervised contrastive loss of each anchor.

    Memory grows with n + N, as that of `nt_xent` does.

    Args:
        z_a: Anchors of view a, `[n, d]`, any float type.
        z_b: Anchors of view b, `[n, d]`.
        labels: Classes of the anchors' images, integers `[n]`.
        temperature: tau, above 0; number or scalar tensor of the dtype of z.
        normalize: Whether rows are divided by their L2 norm.
        z_a_global: Candidates of view a, `[N, d]`; default: `z_a`.
        z_b_global: Candidates of view b, `[N, d]`; default: `z_b`.
        labels_global: Classes of the candidates' images, integers `[N]`;
            default: `labels`. Must be given if, and only if, `z_a_global` is.
        first_anchor: Row of the candidates that equals the first anchor.

    Returns:
        `[2, n]`, float32 (float64 for float64 input): anchors of view a, then
        those of view b.

    Raises:
        ValueError: Shapes or dtypes do not fit.
    """
    a, b, a_global, b_global = similarity.prepare_views(
        z_a, z_b, normalize, z_a_global, z_b_global
    )
    labels = _check_labels("labels", labels, a)
    if (labels_global is None) != (z_a_global is None):
        raise ValueError(
            "labels_global must be given where z_a_global is, and only there."
            f" Received: labels_global={labels_global}"
        )
    given = z_a_global is not None
    if given:
        labels_global = _check_labels("labels_global", labels_global, a_global)
    else:
        labels_global = labels
    losses = nt_xent(
        a,
        b,
        temperature=temperature,
        normalize=False,
        z_a_global=a_global if given else None,
        z_b_global=b_global if given else None,
        first_anchor=first_anchor,
    )
    # NT-Xent's only positive is the partner. Its logit is replaced by the mean
    # logit of all positives.
    partner = similarity.paired_similarities(a / temperature, b)  # [n]
    sums, counts = _class_sums(a_global + b_global, labels, labels_global)
    positives = tf.stack(
        [
            _mean_of_positives(anchors / temperature, anchors, sums, counts)
            for anchors in (a, b)
        ]
    )
    return losses + (partner - positives)


def _class_sums(views, labels, labels_global):
    """Sum of the views of each anchor's class, `[n, d]`; their number, `[n]`.

    Args:
        views: sums of both views of the candidates, `[N, d]`.
        labels: of the anchors, `[n]`.
        labels_global: of the candidates, `[N]`.
    """
    count = chunking.shape(views)[0]

    def first_of_class(rows):
        same = rows[:, tf.newaxis] == labels_global[tf.newaxis, :]  # [m, N]
        return tf.argmax(tf.cast(same, tf.int8), axis=1)

    # Identifies each class by its first image, so that no matrix [n, N] of
    # classes is stored.
    everywhere = chunking.map_rows(first_of_class, [labels_global], count)
    local = everywhere
    if labels is not labels_global:
        local = chunking.map_rows(first_of_class, [labels], count)
    sums = tf.math.unsorted_segment_sum(views, everywhere, count)  # [N, d]
    ones = tf.ones_like(everywhere, views.dtype)
    counts = 2 * tf.math.unsorted_segment_sum(ones, everywhere, count)
    return tf.gather(sums, local), tf.gather(counts, local)


def _mean_of_positives(scaled, anchors, sums, counts):
    """Mean logit of the views of its class except the anchor itself, `[n]`."""
    others = similarity.paired_similarities(scaled, sums - anchors)
    return others / (counts - 1)


def _check_labels(name, labels, z):
    labels = tf.convert_to_tensor(labels)
    fits = labels.shape.rank == 1 and labels.shape.is_compatible_with(
        z.shape[:1]
    )
    if not fits or not labels.dtype.is_integer:
        raise ValueError(
            f"{name} must be one integer for each row of z, of shape"
            f" {z.shape[:1]}. Received: shape {labels.shape}, dtype"
            f" {labels.dtype.name}"
        )
    return tf.cast(labels, tf.int64)


@compat.register
class SupervisedContrastive(ContrastiveLoss):
    """Supervised contrastive loss: the views of one class are positives.

    Let P(i) be the views of the class of anchor i except i itself. The
    candidates are all 2N - 1 views except i:

        l(i) = -1 / |P(i)| sum_{p in P(i)} log(
            exp(s_ip / tau) / sum_{k != i} exp(s_ik / tau))

    If every image has a class of its own, the loss equals `NTXent`. It is
    computed in float32 at least, under every dtype policy. With several
    replicas, the positives are those of the global batch.

    Args:
        temperature: tau, above 0. Default 0.1, the paper's choice.
        normalize: Whether s is the cosine similarity (default) or the plain
            inner product.
        name: Name of the loss.

    Raises:
        ValueError: `temperature` out of range.

    Example:

    >>> loss = SupervisedContrastive(temperature=0.5)
    >>> z = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    >>> float(loss(z, z, labels=tf.constant([3, 7])))  # as NTXent(0.5)(z, z)
    0.23954...

    Reference:
        Khosla et al., Supervised Contrastive Learning, 2020 (arXiv
        2004.11362), equation 2. Its implementation multiplies by tau / 0.07.
    """

    anchor_losses = staticmethod(supervised_contrastive)
    arguments = ("temperature", "normalize")

    def __init__(
        self,
        temperature: float = 0.1,
        normalize: bool = True,
        name: str = "supervised_contrastive",
    ):
        super().__init__(name=name)
        similarity.check_positive("temperature", temperature)
        self.temperature = float(temperature)
        self.normalize = bool(normalize)

    def random_guess(self, num_images: int) -> float:
        """Loss if all similarities are equal: `log(2N - 1)`.

        Args:
            num_images: N, images in the global batch.
        """
        return math.log(2 * num_images - 1)
