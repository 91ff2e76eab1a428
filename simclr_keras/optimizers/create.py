"""Creates optimizers by name, for the commands."""

from __future__ import annotations

import importlib

import keras

from simclr_keras import compat
from simclr_keras import scalars
from simclr_keras.optimizers.adamw import AdamW
from simclr_keras.optimizers.lars import LARS

# Which weights each optimizer decays through the loss: the argument `which` of
# `l2_penalty`. LARS decays kernels in its update, except that of the supervised
# head, which the official code decays through the loss.
DECAY_IN_LOSS = {
    "lars": "heads",
    "momentum": "all",
    "adam": "all",
    "adamw": "none",
    "lamb": "none",
}
OPTIMIZERS = tuple(DECAY_IN_LOSS)

if not compat.IMPORTS_SAVED_CLASSES:
    importlib.import_module("simclr_keras.optimizers.lamb")


def create_optimizer(
    name: str,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    *,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    nesterov: bool = False,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float | None = None,
) -> keras.optimizers.Optimizer:
    """Makes an optimizer, which ignores the arguments of other optimizers.

    Args:
        name: `"lars"`, `"momentum"`, `"adam"`, `"adamw"` or `"lamb"`.
        learning_rate: Rate or `keras` schedule of rates.
        weight_decay: For lars, adamw and lamb, at least 0. Default 0. For
            momentum and adam it must be 0: their decay is a term of the loss,
            `l2_penalty`.
        momentum: For lars and momentum, in [0, 1]. Default 0.9.
        nesterov: Whether lars and momentum use Nesterov momentum. Default
            False.
        beta_1: Decay of the first moment of adam, adamw and lamb, in [0, 1).
            Default 0.9.
        beta_2: Decay of the second moment, in [0, 1). Default 0.999.
        epsilon: Added to the denominator of adam and adamw (default 1e-7) and
            of lamb (default 1e-6).

    Returns:
        A Keras optimizer.

    Raises:
        ValueError: The name is unknown or an argument out of range.
        ImportError: `"lamb"` on Keras 2.15 without tensorflow-addons.
    """
    decay_in_loss(name)
    if not weight_decay >= 0:
        raise ValueError(
            "weight_decay must be at least 0. Received:"
            f" weight_decay={weight_decay}"
        )
    if scalars.is_real(learning_rate):
        learning_rate = float(learning_rate)
    momentum, weight_decay, beta_1, beta_2, epsilon = map(
        scalars.plain, (momentum, weight_decay, beta_1, beta_2, epsilon)
    )
    if name == "lars":
        return LARS(learning_rate, momentum, weight_decay, nesterov=nesterov)
    if name in ("momentum", "adam") and weight_decay:
        raise ValueError(
            f"weight_decay of {name!r} is a term of the loss, not of the"
            " update: pass 0 here and add l2_penalty(model, weight_decay) to"
            " the loss, or take 'adamw' or 'lars'. Received:"
            f" weight_decay={weight_decay}"
        )
    if name == "momentum":
        return keras.optimizers.SGD(
            learning_rate, momentum=momentum, nesterov=nesterov
        )
    moments = {"beta_1": beta_1, "beta_2": beta_2}
    moments["epsilon"] = epsilon or (1e-6 if name == "lamb" else 1e-7)
    if name == "adam":
        return keras.optimizers.Adam(learning_rate, **moments)
    moments["weight_decay"] = weight_decay
    if name == "adamw":
        return AdamW(learning_rate, **moments)
    from simclr_keras.optimizers.lamb import Lamb

    return Lamb(learning_rate, **moments)


def decay_in_loss(name: str) -> str:
    """Says which weights the loss decays when this optimizer is used.

    Args:
        name: Name of the optimizer, as in `create_optimizer`.

    Returns:
        The argument `which` of `l2_penalty`: `"all"`, `"heads"` or `"none"`.

    Raises:
        ValueError: The name is unknown.
    """
    if name not in DECAY_IN_LOSS:
        raise ValueError(
            f"The name of the optimizer must be one of {OPTIMIZERS}."
            f" Received: {name!r}"
        )
    return DECAY_IN_LOSS[name]


def split_weight_decay(
    name: str, weight_decay: float
) -> tuple[float, float, str]:
    """Divides a weight decay between the optimizer's update and the loss.

    As in the official code, LARS decays in its update except for the supervised
    head, which the loss penalises. With momentum and adam the loss penalises
    all weights except those of batch norm.

    Args:
        name: Name of the optimizer, as in `create_optimizer`.
        weight_decay: At least 0.

    Returns:
        Triple: `weight_decay` of `create_optimizer`; `l2` and `l2_scope` of
        `SimCLR` and of `Classifier`.

    Raises:
        ValueError: The name is unknown.

    Example:

    >>> split_weight_decay("lars", 1e-6)
    (1e-06, 1e-06, 'heads')
    >>> split_weight_decay("momentum", 1e-4)
    (0.0, 0.0001, 'all')
    """
    scope = decay_in_loss(name)
    in_update = 0.0 if scope == "all" else weight_decay
    return in_update, 0.0 if scope == "none" else weight_decay, scope
