"""Gives the optimizers of both stacks the interface of Keras 3.

The private attributes below belong to Keras 2.15 and tensorflow-addons 0.23,
the last releases of Keras 2 and of tensorflow-addons. On Keras 3 only
`_get_variable_index` and `_iterations` are private.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from simclr_keras.compat.variables import as_numpy
from simclr_keras.compat.versions import KERAS_3

if KERAS_3:
    # A subclass finds the slots of a variable by `_get_variable_index`, as the
    # example in the docstring of this class does: there is no public way.
    Optimizer = keras.optimizers.Optimizer
else:

    class Optimizer(keras.optimizers.Optimizer):
        """Base of an optimizer written for Keras 3, on Keras 2.15."""

        def __init__(self, learning_rate, **kwargs):
            super().__init__(**kwargs)
            self._learning_rate = self._build_learning_rate(learning_rate)

        @property
        def built(self):
            """Whether it has its state."""
            return getattr(self, "_built", False)

        def build(self, variables):
            """Creates the state that all optimizers have."""
            super().build(variables)
            self._built = True

        def assign(self, variable, value):
            """Sets a variable or a slot."""
            variable.assign(value)

        def get_config(self):
            """Arguments that make an equal optimizer."""
            rate = self._serialize_hyperparameter(self._learning_rate)
            rate = rate if isinstance(rate, dict) else float(rate)
            return {**super().get_config(), "learning_rate": rate}

        def _get_variable_index(self, variable):
            return self._index_dict[self._var_key(variable)]

        def _update_step(self, gradient, variable):
            self.update_step(gradient, variable, self.learning_rate)


class DecayMatricesOnly:
    """Mixin that restricts the weight decay of a Keras optimizer to matrices.

    It comes before the optimizer's class. Weight decay then leaves out biases
    and the scales and offsets of normalisation (vectors and scalars), without a
    list of variables.
    """

    also_excluded = ((), ())  # variables, and parts of names

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[keras.Variable | tf.Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Excludes more variables; see the optimizer of Keras."""
        self.also_excluded = (tuple(var_list or ()), tuple(var_names or ()))
        super().exclude_from_weight_decay(var_list, var_names)

    def build(self, variables: list[keras.Variable | tf.Variable]) -> None:
        """Creates the state, once."""
        if not is_built(self):
            vectors = [v for v in variables if len(v.shape) < 2]
            more, names = self.also_excluded
            super().exclude_from_weight_decay([*vectors, *more], list(names))
        super().build(variables)


class _DecayMatricesOnlyOfAddons:
    """`DecayMatricesOnly` for an optimizer of tensorflow-addons.

    Such an optimizer excludes variables by name only, and names differ between
    encoders.
    """

    def _do_use_weight_decay(self, variable):
        return len(variable.shape) >= 2


def lamb_bases() -> tuple[type, type]:
    """Bases of a LAMB that decays matrices only.

    Keras's own LAMB on Keras 3, else that of tensorflow-addons.

    Raises:
        ImportError: tensorflow-addons is needed and absent.
    """
    if KERAS_3:
        return DecayMatricesOnly, keras.optimizers.Lamb
    try:
        from tensorflow_addons.optimizers import LAMB
    except ImportError as error:
        raise ImportError(
            "LAMB on Keras 2.15 is that of tensorflow-addons, which is not"
            " installed. Install the extra that brings it, pip install"
            " '.[tf215]' in a clone of simclr_keras"
        ) from error
    return _DecayMatricesOnlyOfAddons, LAMB


def batches_seen(
    optimizer: keras.optimizers.Optimizer,
) -> keras.Variable | tf.Variable:
    """Variable that counts the batches that an optimizer was given.

    With `gradient_accumulation_steps`, Keras 3 counts updates in `iterations`,
    and batches in a private variable only.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if getattr(inner, "gradient_accumulation_steps", None):
        return inner._iterations
    return optimizer.iterations


def build_optimizer(
    optimizer: keras.optimizers.Optimizer,
    variables: list[keras.Variable | tf.Variable],
) -> None:
    """Creates an optimizer's state, once."""
    if not KERAS_3 and not hasattr(optimizer, "build"):
        optimizer._create_all_weights(variables)  # of tensorflow-addons
    elif not is_built(optimizer):
        optimizer.build(variables)


def is_built(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer has its state."""
    return getattr(optimizer, "built" if KERAS_3 else "_built", False)


def optimizer_variables(
    optimizer: keras.optimizers.Optimizer,
) -> list[keras.Variable | tf.Variable]:
    """All variables of an optimizer, its loss scale's included."""
    if KERAS_3:
        return list(optimizer.variables)
    variables = optimizer.variables
    variables = list(variables() if callable(variables) else variables)
    if getattr(optimizer, "dynamic", False):
        scale = optimizer._loss_scale
        variables += [scale.current_loss_scale, scale.counter]
    return variables


def learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate of the next step, as a float."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # In Keras 2.15, `learning_rate` is that of the last step.
    rate = None if KERAS_3 else getattr(optimizer, "_learning_rate", None)
    if rate is None:  # Keras 3, or of tensorflow-addons
        rate = optimizer.learning_rate
    if callable(rate):
        rate = rate(optimizer.iterations)
    return float(tf.convert_to_tensor(rate))


def settable_learning_rate(
    optimizer: keras.optimizers.Optimizer,
) -> float | None:
    """The rate of an optimizer as a float, or None where a schedule sets it."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if KERAS_3:
        rate = optimizer.learning_rate
        settable = isinstance(rate, keras.Variable)
    else:
        rate = getattr(optimizer, "_learning_rate", None)
        settable = rate is not None and not callable(rate)
    return float(as_numpy(rate)) if settable else None


def minimize(
    optimizer: keras.optimizers.Optimizer,
    tape: tf.GradientTape,
    loss: tf.Tensor,
    variables: list[keras.Variable | tf.Variable],
) -> None:
    """Applies the gradient of `loss`; scales it where float16 needs that."""
    with tape:
        loss = scale_loss(optimizer, loss)
    apply_scaled(optimizer, tape.gradient(loss, variables), variables)


def scale_loss(
    optimizer: keras.optimizers.Optimizer, loss: tf.Tensor
) -> tf.Tensor:
    """Scales a loss for float16; `apply_scaled` takes its gradients."""
    if KERAS_3:
        return optimizer.scale_loss(loss)
    scale = getattr(optimizer, "get_scaled_loss", None)
    return scale(loss) if scale else loss


def apply_scaled(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[tf.Tensor | None],
    variables: list[keras.Variable | tf.Variable],
) -> None:
    """Applies gradients of a loss that went through `scale_loss`."""
    if not KERAS_3 and hasattr(optimizer, "get_unscaled_gradients"):
        gradients = optimizer.get_unscaled_gradients(gradients)
    optimizer.apply_gradients(list(zip(gradients, variables)))
