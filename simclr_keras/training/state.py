"""Reads and writes all variables of a training as arrays.

The arrays are the same for any number of replicas.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.distribute import workers

_ON_READ = tf.VariableSynchronization.ON_READ
# Marks an array that has one row for each replica.
_ROWS = "@replicas"
_OPTIMIZER = "optimizer/"


def read(model: keras.Model) -> dict[str, np.ndarray]:
    """Arrays of a model, its optimizer and its metrics, as they are now.

    All processes of a training must call this together. If each replica keeps
    its own value of a variable, such as a metric's sum, all values are read.

    Returns:
        Dict of NumPy arrays, copies of the variables.
    """
    strategy = model.distribute_strategy
    arrays = {}
    variables = (*_weights(model), *_optimizer(model), *_metrics(model))
    for name, variable in variables:
        value, rows = _read(strategy, compat.tensorflow_variable(variable))
        arrays[name + _ROWS * rows] = value
    return arrays


def write_model(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Assigns the arrays of `read` to a model and its optimizer.

    If the model is not compiled, the optimizer's arrays are ignored.

    Raises:
        ValueError: an array is missing, left over or of another shape.
    """
    variables = dict(_weights(model))
    names = {
        name.removesuffix(_ROWS) for name in arrays if not _is_metric(name)
    }
    if getattr(model, "optimizer", None) is None:
        names = {name for name in names if not name.startswith(_OPTIMIZER)}
    else:
        with model.distribute_strategy.scope():
            # Otherwise a model that is not ours would create the state later,
            # with zeros.
            compat.build_optimizer(model.optimizer, model.trainable_variables)
        variables.update(_optimizer(model))
    left = names - set(variables)
    if left:
        raise ValueError(
            "the checkpoint must be one of the same model and optimizer."
            f" Received: one with {min(left)}, which this model lacks"
        )
    _write_all(model, arrays, variables.items())


def has_rate(arrays: Mapping[str, np.ndarray], rate: float) -> bool:
    """Whether a number of the optimizer, in the arrays of `read`, is `rate`."""
    return any(
        name.startswith(_OPTIMIZER)
        and array.shape == ()
        and array.dtype.kind == "f"
        and float(array) == rate
        for name, array in arrays.items()
    )


def write_metrics(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Assigns their arrays to a model's metrics; needs no other arrays."""
    _write_all(model, arrays, _metrics(model))


def metrics_alone(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The part of `read` that `write_metrics` needs."""
    return {k: v for k, v in arrays.items() if _is_metric(k)}


def _is_metric(name):
    return name.startswith("metrics/")


def metrics_of(model: keras.Model) -> Iterator[keras.metrics.Metric]:
    """Yields a model's metrics, unpacked from the containers of Keras 3."""
    for metric in model.metrics:
        inner = getattr(metric, "metrics", None)
        yield from inner if inner else [metric]


def _optimizer(model):
    variables = compat.optimizer_variables(model.optimizer)
    for number, variable in enumerate(variables):
        yield f"{_OPTIMIZER}{number:04d}", variable


def _metrics(model):
    for place, metric in enumerate(metrics_of(model)):
        for number, variable in enumerate(metric.variables):
            yield f"metrics/{place:02d}/{metric.name}/{number}", variable


def _weights(model):
    weights = compat.weights_of(model)
    for number, variable in enumerate(weights):
        yield f"weights/{number:04d}", variable
    known = {id(v) for v in (*weights, *(v for _, v in _metrics(model)))}
    # States of random layers, such as dropout, where variables hold them.
    states = [v for v in model.variables if id(v) not in known]
    for number, variable in enumerate(states):
        yield f"states/{number:04d}", variable


def _write_all(model, arrays, variables):
    for name, variable in variables:
        rows = name + _ROWS in arrays
        key = name + _ROWS * rows
        variable = compat.tensorflow_variable(variable)
        shape = arrays[key].shape[rows:] if key in arrays else None
        if shape != tuple(variable.shape):
            raise ValueError(
                "the checkpoint must be one of the same model and optimizer."
                f" Received: {name} of shape {shape}; the model's is"
                f" {tuple(variable.shape)}"
            )
        _write(model.distribute_strategy, variable, arrays[key], rows)
    compat.refresh_statistics(model)


def _read(strategy, variable):
    """(array, whether it has one row for each replica)."""
    if not _kept_apart(strategy, variable):
        return tf.convert_to_tensor(variable).numpy(), False
    values = strategy.experimental_local_results(variable)
    rows = np.stack([tf.convert_to_tensor(value).numpy() for value in values])
    return workers.gather_rows(strategy, rows), True


def _write(strategy, variable, array, rows):
    if not _kept_apart(strategy, variable):
        variable.assign(_joined(variable, array) if rows else array)
        return
    count = strategy.num_replicas_in_sync
    if not rows:
        array = array[np.newaxis]
    if len(array) != count:
        value = _joined(variable, array)
        array = np.stack([value] * count)
        if variable.aggregation == tf.VariableAggregation.SUM:
            array[1:] = 0
    own = array[workers.own_replicas(strategy)]
    for value, row in zip(strategy.experimental_local_results(variable), own):
        value.assign(row)


def _joined(variable, rows):
    """Combines the values of all replicas to one."""
    total = rows.sum(axis=0, dtype=rows.dtype)
    if variable.aggregation == tf.VariableAggregation.MEAN:
        return (total / len(rows)).astype(rows.dtype)
    return total


def _kept_apart(strategy, variable):
    """Whether each replica has its own value of a variable."""
    several = strategy.num_replicas_in_sync > 1
    return several and variable.synchronization == _ON_READ
