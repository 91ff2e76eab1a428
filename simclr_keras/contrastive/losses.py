"""The contrastive losses by name, for commands and ablations."""

from simclr_keras.choices import LOSSES
from simclr_keras.contrastive.margin_triplet import MarginTriplet
from simclr_keras.contrastive.nt_logistic import NTLogistic
from simclr_keras.contrastive.nt_xent import NTXent


def make_loss(
    name,
    *,
    temperature=0.1,
    normalize=True,
    margin=0.8,
    semi_hard=True,
    view_reduction="mean",
):
    """Makes a contrastive loss; each takes of the arguments what it knows.

    Args:
        name: `"nt_xent"`, `"nt_logistic"` or `"margin_triplet"`.
        temperature: tau, above 0; not for the margin triplet. Default 0.1.
        normalize: Whether rows of z are divided by their L2 norm. Default
            True.
        margin: Of the margin triplet, at least 0. Default 0.8.
        semi_hard: Whether NT-Logistic and margin triplet mine semi-hard
            negatives. Default True.
        view_reduction: Of NT-Xent, `"mean"` (default) or `"sum"`.

    Returns:
        A `keras.losses.Loss`: called with `z_a`, `z_b` `[N, d]` it returns a
        scalar.

    Raises:
        ValueError: The name is unknown or an argument out of range.
    """
    if name == "nt_xent":
        return NTXent(temperature, normalize, view_reduction)
    if name == "nt_logistic":
        return NTLogistic(temperature, normalize, semi_hard)
    if name == "margin_triplet":
        return MarginTriplet(margin, normalize, semi_hard)
    raise ValueError(
        f"The name of the loss must be one of {LOSSES}. Received: {name!r}"
    )
