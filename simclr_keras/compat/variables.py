"""Reads and creates the variables of layers on both stacks."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from simclr_keras.compat.versions import KERAS_3

# Aggregation and synchronization of weights of which each replica has a copy.
_STATISTICS = {"copied": ("none", "auto"), "averaged": ("mean", "on_read")}


def variable_path(variable: keras.Variable | tf.Variable) -> str:
    """Full path of a variable, such as `resnet/stem_conv/kernel`.

    Keras 3 keeps it in `path` (its `name` is only the last part); Keras 2.15
    has it in `name`, with a `:0` behind it.
    """
    path = getattr(variable, "path", None)  # a plain tf.Variable has none
    return path or variable.name.split(":")[0]


def tensorflow_variable(variable: keras.Variable | tf.Variable) -> tf.Variable:
    """The TensorFlow variable inside a Keras one, distributed or not."""
    if KERAS_3 and isinstance(variable, keras.Variable):
        return variable.value
    return variable


def as_numpy(
    variable: keras.Variable | tf.Variable | tf.Tensor | float,
) -> np.ndarray:
    """Value of a variable, a tensor or a number as a NumPy array."""
    return tf.convert_to_tensor(variable).numpy()


def dtype_policy_name(
    dtype: str | keras.mixed_precision.Policy | None = None,
) -> str:
    """Name of a dtype policy, such as `mixed_bfloat16`; None: the global."""
    if dtype is None:
        dtype = keras.mixed_precision.global_policy()
    return dtype if isinstance(dtype, str) else dtype.name


def refresh_statistics(model: keras.Model) -> None:
    """Makes `Normalization` layers compute with the statistics they store.

    They compute with copies of their variables, which Keras makes anew only
    when it adapts or loads a layer itself, and not when values are assigned.

    Args:
        model: model whose variables were assigned.
    """
    for layer in flatten_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def flatten_layers(
    *layers, include_self: bool = True
) -> list[keras.layers.Layer]:
    """Lists layers with all layers in them, however deep, parents first.

    Args:
        *layers: layers or models.
        include_self: whether they are part of the list themselves.
    """
    # Private: `Model.layers` does not list layers inside of other layers, such
    # as blocks, and Keras 3 has no public list of them.
    return [
        inner
        for layer in layers
        for inner in layer._flatten_layers(include_self=include_self)
    ]


def mutable_state(*layers) -> list[tf.Variable]:
    """Variables that a call of layers in training mode may change.

    Args:
        *layers: layers or models; their inner layers are included.

    Returns:
        List of TensorFlow variables, each once: moving statistics and, on
        Keras 3, the states of seed generators. Frozen weights are among them.
    """
    state = [v for layer in layers for v in layer.non_trainable_variables]
    return list({id(v): tensorflow_variable(v) for v in state}.values())


def unrepeatable_layers(*layers) -> list[keras.layers.Layer]:
    """Layers that draw random numbers which cannot be drawn again.

    Keras 3 has none: what its layers draw is a function of their seed
    generator's state, which can be restored.

    Args:
        *layers: layers or models; their inner layers are included.

    Returns:
        List of layers.
    """
    if KERAS_3:
        return []
    random = keras.__internal__.layers.BaseRandomLayer
    return [x for x in flatten_layers(*layers) if isinstance(x, random)]


def weights_of(model: keras.Model) -> list[keras.Variable | tf.Variable]:
    """All weights of a model, in an order that freezing does not change."""
    if KERAS_3:
        return list(model.weights)
    # `Model.weights` of Keras 2.15 lists the trainable ones first.
    return [
        weight
        for layer in flatten_layers(model)
        if not isinstance(layer, keras.metrics.Metric)
        for weight in layer._trainable_weights + layer._non_trainable_weights
    ]


def tensorflow_weights(model: keras.Model) -> list[tf.Variable]:
    """`weights_of` a model, as TensorFlow's variables."""
    return [tensorflow_variable(v) for v in weights_of(model)]


def add_uncast_weight(
    layer: keras.layers.Layer,
    name: str,
    shape: tuple[int, ...],
    initializer: str | keras.initializers.Initializer,
    kind: str,
) -> keras.Variable | tf.Variable:
    """Adds a weight that mixed precision does not cast when it is read.

    Assign the result to an attribute of `layer`.

    Args:
        layer: Keras layer.
        name: name of the weight.
        shape: its shape.
        initializer: its initialiser.
        kind: `"trained"`; or a statistic of which every replica keeps a copy:
            `"copied"`, if all replicas assign the same values, so that any copy
            can be read; `"averaged"`, if reading it outside of the replicas, as
            saving does, must return the mean of the copies.
    """
    if kind == "trained":
        cast = "autocast" if KERAS_3 else "experimental_autocast"
        return layer.add_weight(
            name=name, shape=shape, initializer=initializer, **{cast: False}
        )
    aggregation, synchronization = _STATISTICS[kind]
    if not KERAS_3:
        return layer.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=False,
            experimental_autocast=False,
            synchronization=tf.VariableSynchronization[synchronization.upper()],
            aggregation=tf.VariableAggregation[aggregation.upper()],
        )
    return keras.Variable(
        initializer=keras.initializers.get(initializer),
        shape=shape,
        dtype=layer.variable_dtype,
        trainable=False,
        autocast=False,
        aggregation=aggregation,
        synchronization=synchronization,
        name=name,
    )


class ReplicatedMean(keras.metrics.Mean):
    """A running mean to which all replicas add the same value.

    Each replica keeps a copy, so that reading it needs no collective: one
    process may read it while others do something else.
    """

    if KERAS_3:

        def add_variable(self, shape, initializer, dtype=None, **kwargs):
            """Adds a variable that is copied to each replica."""
            return keras.Variable(
                initializer=keras.initializers.get(initializer),
                shape=shape,
                dtype=dtype or self.dtype,
                trainable=False,
                aggregation="none",
                name=kwargs.get("name"),
            )
    else:

        def add_weight(self, name, **kwargs):
            """Adds a variable that is copied to each replica."""
            kwargs["aggregation"] = tf.VariableAggregation.NONE
            kwargs["synchronization"] = tf.VariableSynchronization.AUTO
            return super().add_weight(name, **kwargs)
