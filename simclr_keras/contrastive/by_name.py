"""Makes contrastive losses by name, for commands and ablations."""

from __future__ import annotations

import keras

from simclr_keras.choices import LOSSES
from simclr_keras.contrastive.margin_triplet import MarginTriplet
from simclr_keras.contrastive.nt_logistic import NTLogistic
from simclr_keras.contrastive.nt_xent import NTXent
from simclr_keras.contrastive.supervised_contrastive import (
    SupervisedContrastive,
)


def make_loss(
    name: str,
    *,
    temperature: float = 0.1,
    normalize: bool = True,
    margin: float = 0.8,
    semi_hard: bool = True,
    view_reduction: str = "mean",
) -> keras.losses.Loss:
    """Makes a contrastive loss; it ignores arguments of other losses.

    Args:
        name: one of `choices.LOSSES`.
        temperature: tau, above 0; for all but the margin triplet. Default 0.1.
        normalize: Whether rows of z are divided by their L2 norm. Default
            True.
        margin: At least 0; for the margin triplet. Default 0.8.
        semi_hard: Whether to mine semi-hard negatives; for NT-Logistic and the
            margin triplet. Default True.
        view_reduction: `"mean"` (default) or `"sum"`; for NT-Xent.

    Returns:
        A `keras.losses.Loss`: called with `z_a`, `z_b` `[N, d]` (and with
        `labels` `[N]` if it is the supervised one), it returns a scalar.

    Raises:
        ValueError: The name is unknown or an argument out of range.
    """
    if name == "nt_xent":
        return NTXent(temperature, normalize, view_reduction)
    if name == "nt_logistic":
        return NTLogistic(temperature, normalize, semi_hard)
    if name == "margin_triplet":
        return MarginTriplet(margin, normalize, semi_hard)
    if name == "supervised_contrastive":
        return SupervisedContrastive(temperature, normalize)
    raise ValueError(
        f"The name of the loss must be one of {LOSSES}. Received: {name!r}"
    )
