"""LARS, the optimizer that lets SimCLR train with very large batches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import scalars


@compat.register
class LARS(compat.Optimizer):
    """Layer-wise adaptive rate scaling with momentum.

    For a variable p with gradient g, momentum m and learning rate lr:

        g <- g + weight_decay p
        s = lr eeta |p| / |g|       (s = lr where a norm is 0, or if excluded)
        m <- momentum m + s g
        p <- p - m                  (Nesterov: p <- p - (momentum m + s g))

    This is `classic_momentum`, where the rate is part of the momentum, as in
    SimCLR. Without it, the update u is computed first (m <- momentum m + g, u =
    m or, with Nesterov, momentum m + g), and its own norm gives the trust
    ratio: p <- p - lr eeta |p| / |u| u.

    Biases and batch norm are recognised by the rank of their variables, because
    names differ between Keras versions.

    Args:
        learning_rate: Rate or schedule of rates over steps; step 0 is the
            first update.
        momentum: Decay of the momentum per step, in [0, 1]. Default 0.9.
        weight_decay: Factor of p added to the gradient, at least 0. Default
            0; the paper uses 1e-6 to pretrain.
        eeta: Trust coefficient, above 0. Default 0.001.
        nesterov: Whether to use Nesterov momentum. Default False.
        classic_momentum: See above. Default True.
        exclude_vectors: Whether scalars and vectors (biases, scales and
            offsets of batch norm) get neither decay nor layer adaptation.
            Default True.
        exclude: Regular expressions; a variable whose path has a match, such
            as `supervised_head/kernel`, gets neither decay nor layer
            adaptation. Default: the supervised head.
        exclude_from_layer_adaptation: The same for the adaptation alone;
            None or empty (default) means `exclude`.
        name: Name of the optimizer. Default "lars".
        **kwargs: Arguments of `keras.optimizers.Optimizer`: clipping, moving
            averages.

    Raises:
        ValueError: An argument is out of range.

    Example:

    >>> optimizer = LARS(0.3, weight_decay=1e-6)
    >>> p = tf.Variable([[3.0, 4.0]])
    >>> optimizer.apply_gradients([(tf.constant([[0.6, 0.8]]), p)])
    >>> p.numpy()  # |p| / |g| = 5: a step of 0.3 x 0.001 x 5 x g
    array([[2.9991, 3.9988]], dtype=float32)

    References:
        You et al., Large Batch Training of Convolutional Networks, 2017 (arXiv
        1708.03888), algorithm 1; Chen et al. 2020 (arXiv 2002.05709), section
        2.2.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eeta: float = 0.001,
        nesterov: bool = False,
        classic_momentum: bool = True,
        exclude_vectors: bool = True,
        exclude: Sequence[str] = ("supervised_head",),
        exclude_from_layer_adaptation: Sequence[str] | None = None,
        name: str = "lars",
        **kwargs,
    ):
        if not 0 <= momentum <= 1:
            raise ValueError(
                f"momentum must be in [0, 1]. Received: momentum={momentum}"
            )
        weight_decay = scalars.plain(weight_decay or 0.0)
        if not weight_decay >= 0:
            raise ValueError(
                "weight_decay must be at least 0. Received:"
                f" weight_decay={weight_decay}"
            )
        if not eeta > 0:
            raise ValueError(f"eeta must be above 0. Received: eeta={eeta}")
        if scalars.is_real(learning_rate):
            learning_rate = float(learning_rate)
        super().__init__(
            learning_rate, name=name, weight_decay=weight_decay, **kwargs
        )
        self.momentum = scalars.plain(momentum)
        self.eeta = scalars.plain(eeta)
        self.nesterov = nesterov
        self.classic_momentum = classic_momentum
        self.exclude_vectors = exclude_vectors
        self.exclude = _patterns("exclude", exclude)
        self.exclude_from_layer_adaptation = _patterns(
            "exclude_from_layer_adaptation", exclude_from_layer_adaptation
        )

    def build(self, variables: list[keras.Variable | tf.Variable]) -> None:
        """Creates the momenta, and decides which variables to decay and adapt.

        This is not left to the update, because Keras 3 then passes variables
        that no longer know their path.
        """
        if self.built:
            return
        # The update includes the decay; Keras would decay a second time.
        self.exclude_from_weight_decay(var_list=variables)
        super().build(variables)
        self._momenta = [
            self.add_variable_from_reference(v, "momentum") for v in variables
        ]
        self._decayed = frozenset(
            i for i, v in enumerate(variables) if self.decays(v)
        )
        self._adapted = frozenset(
            i for i, v in enumerate(variables) if self.adapts(v)
        )

    def decays(self, variable: keras.Variable | tf.Variable) -> bool:
        """Whether weight decay applies to this variable."""
        return not self._is_excluded(variable, self.exclude)

    def adapts(self, variable: keras.Variable | tf.Variable) -> bool:
        """Whether the trust ratio scales the rate of this variable."""
        return not self._is_excluded(
            variable, self.exclude_from_layer_adaptation or self.exclude
        )

    def _is_excluded(self, variable, patterns):
        if self.exclude_vectors and len(variable.shape) < 2:
            return True
        path = compat.variable_path(variable)
        return any(re.search(pattern, path) for pattern in patterns)

    def update_step(
        self,
        gradient: tf.Tensor,
        variable: keras.Variable | tf.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        """Updates one variable."""
        # A private method, which the example in Keras's base class uses too.
        index = self._get_variable_index(variable)
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        learning_rate = tf.cast(learning_rate, variable.dtype)
        p = tf.convert_to_tensor(variable)
        slot = self._momenta[index]
        if self.weight_decay and index in self._decayed:
            gradient = gradient + self.weight_decay * p
        carried = self.momentum * tf.convert_to_tensor(slot)
        if self.classic_momentum:
            added = self._rate(learning_rate, p, gradient, index) * gradient
        else:
            added = gradient
        new_momentum = carried + added
        step = new_momentum
        if self.nesterov:
            step = self.momentum * new_momentum + added
        if not self.classic_momentum:
            step = self._rate(learning_rate, p, step, index) * step
        self.assign(slot, new_momentum)
        self.assign(variable, p - step)

    def _rate(self, learning_rate, p, update, index):
        """Learning rate times the trust ratio of the variable."""
        if index not in self._adapted:
            return learning_rate
        p_norm = tf.norm(p)
        update_norm = tf.norm(update)
        ratio = self.eeta * tf.math.divide_no_nan(p_norm, update_norm)
        both_positive = (p_norm > 0) & (update_norm > 0)
        return learning_rate * tf.where(
            both_positive, ratio, tf.ones_like(ratio)
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal optimizer."""
        config = super().get_config()
        config.update(
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            eeta=self.eeta,
            nesterov=self.nesterov,
            classic_momentum=self.classic_momentum,
            exclude_vectors=self.exclude_vectors,
            exclude=list(self.exclude),
            exclude_from_layer_adaptation=list(
                self.exclude_from_layer_adaptation
            ),
        )
        return config


def _patterns(name, patterns):
    """Checks regular expressions, and returns them as a tuple."""
    patterns = () if patterns is None else patterns
    if isinstance(patterns, str):
        raise ValueError(
            f"{name} must be a list of regular expressions, not one string."
            f" Received: {name}={patterns!r}"
        )
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise ValueError(
                f"{name} must hold regular expressions ({error})."
                f" Received: {pattern!r}"
            ) from error
    return tuple(patterns)
