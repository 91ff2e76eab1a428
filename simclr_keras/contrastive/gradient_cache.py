"""Computes the exact gradient of a batch too large for memory.

The loss contrasts all images of a batch, but depends on the network's weights
only through z. So three passes suffice: z of all micro-batches, without storing
activations for a gradient; the loss over all of them and its gradient dz; and
each micro-batch again, to propagate its rows of dz back to the weights. This
takes the memory of one micro-batch and one additional forward pass.

Reference: Gao, Zhang, Han and Callan 2021, "Scaling Deep Contrastive Learning
Batch Size under Memory Limited Setup", arXiv 2101.06983, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simclr_keras.distribute import replicas


def micro_batch_rows(
    number: int | tf.Tensor, count: int, rows: int
) -> tf.Tensor:
    """Indices of the rows of one micro-batch on this replica: every count-th.

    A replica holds neighbouring images of the global batch. With a stride, a
    micro-batch consists of the same images on any number of replicas.

    Args:
        number: integer scalar in [0, count), which micro-batch.
        count: Python integer K, number of micro-batches; divides `rows`.
        rows: Python integer n, rows of this replica.

    Returns:
        int32 tensor `[n / K]`.
    """
    return number + count * tf.range(rows // count)


def collect(
    forward: Callable[..., tuple],
    cache: tf.Tensor,
    count: int,
    logs: Sequence[str] | None = None,
    averager: StateAverager | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Forward outputs of all micro-batches, computed one after the other.

    Args:
        forward: function of a micro-batch's number that returns its rows
            `[n / K, ...]` and a dict of float32 scalars.
        cache: tensor `[n, ...]` to write the rows to.
        count: K, a Python integer.
        logs: names of the scalars. Default: none.
        averager: of the variables that `forward` changes. Default: none.

    Returns:
        The rows, in the order of the images, in the dtype of `cache`; and a
        dict of the means of the scalars.
    """

    def body(number, carry):
        cache, means = carry
        if averager is not None:
            averager.reset()
        rows, scalars = forward(number)
        indices = micro_batch_rows(number, count, cache.shape[0])
        cache = tf.tensor_scatter_nd_update(
            cache, indices[:, tf.newaxis], tf.cast(rows, cache.dtype)
        )
        means = {
            name: mean + tf.cast(scalars[name], mean.dtype) / count
            for name, mean in means.items()
        }
        return cache, means

    zeros = {name: tf.zeros([]) for name in logs or ()}
    return _sequential_loop(body, (cache, zeros), count)


def gradients(
    forward: Callable[..., tuple],
    contrast: Callable[[tf.Tensor], tuple],
    variables: list[keras.Variable | tf.Variable],
    cache: tf.Tensor,
    count: int,
    *,
    logs: Sequence[str] = (),
    extra_loss: Callable[[dict[str, tf.Tensor]], tf.Tensor] | None = None,
    state: Sequence[tf.Variable] = (),
) -> tuple[list[tf.Tensor | None], dict[str, tf.Tensor], Any]:
    """Gradient of a loss over the whole batch, computed by micro-batches.

    `forward` runs twice for each micro-batch and must do the same both times,
    so this function manages the variables that `forward` changes. Floating
    state, such as the moving statistics of batch norm, is reset before each
    micro-batch to its value before the step, and becomes the mean of the
    micro-batches' results after it. Other state, such as the seeds of dropout,
    advances from micro-batch to micro-batch and takes the same values in both
    passes.

    Args:
        forward: function of a micro-batch's number that returns z
            `[n / K, 2, d]` of the rows `micro_batch_rows(number, ...)` and a
            dict of float32 scalars. It is traced with and without a tape.
        contrast: function of z `[n, 2, d]` that returns the scalar to minimise
            and any further structure.
        variables: list of variables to compute the gradients of.
        cache: float zeros `[n, 2, d]`, in the dtype that `contrast` expects.
        count: K, number of micro-batches, a Python integer.
        logs: names of the scalars of `forward`.
        extra_loss: function of the scalars that returns a further loss term;
            the terms of all micro-batches are summed. Default: no such term.
        state: variables that `forward` changes; `compat.mutable_state`.

    Returns:
        List of gradients, None for a variable that the loss does not depend on;
        dict of the means of the scalars; and the further structure that
        `contrast` returned.
    """
    averager = StateAverager(state)
    others = [v for v in state if not v.dtype.is_floating]
    before = [tf.identity(v) for v in others]
    z, means = collect(forward, cache, count, logs, averager)
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss, extras = contrast(z)
    dz = tape.gradient(loss, z)
    for variable, value in zip(others, before):
        variable.assign(value)
    sums = _backpropagate(forward, dz, variables, count, extra_loss, averager)
    return sums, means, extras


def _backpropagate(forward, dz, variables, count, extra_loss, averager):
    """Gradients of the variables from dz, summed over the micro-batches."""
    connected = [False] * len(variables)

    def body(number, carry):
        sums, drift = list(carry[0]), carry[1]
        averager.reset()
        with tf.GradientTape() as tape:
            z, scalars = forward(number)
            targets = [tf.cast(z, dz.dtype)]
            rows = micro_batch_rows(number, count, dz.shape[0])
            weights = [tf.gather(dz, rows)]
            if extra_loss is not None:
                targets.append(extra_loss(scalars))
                weights.append(tf.ones_like(targets[-1]))
        parts = tape.gradient(targets, variables, output_gradients=weights)
        for index, part in enumerate(parts):
            if part is not None:
                connected[index] = True
                sums[index] += tf.convert_to_tensor(part)
        drift = [a + b for a, b in zip(drift, averager.delta())]
        return sums, drift

    zeros = [tf.zeros(v.shape, v.dtype) for v in variables]
    sums, drift = _sequential_loop(body, (zeros, averager.zeros()), count)
    averager.apply([total / count for total in drift])
    return [s if is_used else None for s, is_used in zip(sums, connected)]


class StateAverager:
    """Sets floating state to the mean of its values after each micro-batch.

    Args:
        state: variables; those that are not floating are ignored. Their current
            values are taken for those before the step.
    """

    def __init__(self, state: Sequence[tf.Variable]):
        self._variables = [v for v in state if v.dtype.is_floating]
        self._before = [tf.identity(v) for v in self._variables]

    def reset(self) -> None:
        """Restores the values from before the step."""
        for variable, value in zip(self._variables, self._before):
            variable.assign(value)

    def zeros(self) -> list[tf.Tensor]:
        """Zeros in the shapes of the variables, to add deltas to."""
        return [tf.zeros_like(value) for value in self._before]

    def delta(self) -> list[tf.Tensor]:
        """Change of each variable since before the step.

        Averaging differences leaves unchanged values the same to the last bit.
        """
        return [
            tf.identity(v) - b for v, b in zip(self._variables, self._before)
        ]

    def apply(self, deltas: list[tf.Tensor]) -> None:
        """Sets each variable to its value before the step plus a delta."""
        for variable, before, delta in zip(
            self._variables, self._before, deltas
        ):
            variable.assign(before + delta)


def _sequential_loop(body, carry, count):
    """`carry = body(number, carry)` for all numbers, never two at a time."""
    if replicas.collectives_allowed_in_loop():
        return tf.while_loop(
            lambda number, _: number < count,
            lambda number, carry: (number + 1, body(number, carry)),
            (tf.constant(0), carry),
            parallel_iterations=1,
        )[1]
    for index in range(count):
        # Everything in the body depends on `number`, so the body waits for the
        # carry of the iteration before.
        with tf.control_dependencies(tf.nest.flatten(carry)):
            number = tf.identity(index)
        carry = body(number, carry)
    return carry
