"""A batch too large for memory -> its exact gradient, part after part.

The loss contrasts all images of a batch, but depends on a network's weights
only through z. So z of all micro-batches is computed first, without keeping
what a gradient needs; then the loss over all of them and its gradient dz; then
each micro-batch once more, which takes its rows of dz back to the weights.
Memory is that of one micro-batch, the price one more forward pass.

Reference: Gao, Zhang, Han and Callan 2021, "Scaling Deep Contrastive Learning
Batch Size under Memory Limited Setup", arXiv 2101.06983, section 3.
"""

import tensorflow as tf

from simclr_keras.distribute import replicas


def places(number, count, rows):
    """Rows of this replica that make one micro-batch: every count-th.

    In strides a micro-batch holds the same images of the global batch on any
    number of replicas, each of which has neighbouring ones.

    Args:
        number: integer scalar in [0, count), which micro-batch.
        count: Python integer K, number of micro-batches; divides `rows`.
        rows: Python integer n, rows of this replica.

    Returns:
        int32 tensor `[n / K]`.
    """
    return number + count * tf.range(rows // count)


def collect(forward, cache, count, logs=None, state=()):
    """What a network makes of all micro-batches, one after the other.

    Args:
        forward: function of a micro-batch's number that returns its rows
            `[n / K, ...]` and a dict of float32 scalars.
        cache: tensor `[n, ...]` that the rows are written to.
        count: K, a Python integer.
        logs: names of the scalars. Default: none.
        state: variables that `forward` changes, see `gradients`.

    Returns:
        The rows, in the order of the images, in the dtype of `cache`; and a
        dict of the means of the scalars.
    """
    floating = _Floating(state)

    def body(number, carry):
        cache, means = carry
        floating.reset()
        rows, own = forward(number)
        where = places(number, count, cache.shape[0])[:, tf.newaxis]
        cache = tf.tensor_scatter_nd_update(
            cache, where, tf.cast(rows, cache.dtype)
        )
        return cache, {name: means[name] + own[name] / count for name in means}

    zeros = {name: tf.zeros([]) for name in logs or ()}
    return _one_after_the_other(body, (cache, zeros), count)


def gradients(
    forward, contrast, variables, cache, count, *, logs=(), own=None, state=()
):
    """Gradient of a loss over the whole batch, by micro-batches.

    `forward` runs twice for each micro-batch and must do the same both times.
    What it changes is put right here: before each micro-batch floating state,
    such as the moving statistics of batch norm, is what it was before the
    step, and afterwards the mean of what the micro-batches made of it; other
    state, such as the seeds of dropout, runs on from micro-batch to
    micro-batch and takes the same values in both passes.

    Args:
        forward: function of a micro-batch's number that returns z
            `[n / K, 2, d]` of the rows `places(number, ...)` and a dict of
            float32 scalars. Called to be traced, under a tape or not.
        contrast: function of z `[n, 2, d]` that returns the scalar to be
            minimised and anything else.
        variables: list of variables that gradients are wanted of.
        cache: float zeros `[n, 2, d]`, in the dtype that `contrast` wants.
        count: K, number of micro-batches, a Python integer.
        logs: names of the scalars of `forward`.
        own: function of the scalars that returns a further term of the loss;
            the terms of all micro-batches are summed. Default: no such term.
        state: variables that `forward` changes; `compat.mutable_state`.

    Returns:
        List of gradients, None where a variable has no part in it; the dict of
        the means of the scalars; and what else `contrast` returned.
    """
    floating = _Floating(state)
    others = [v for v in state if not v.dtype.is_floating]
    begun = [tf.identity(v) for v in others]
    z, means = collect(forward, cache, count, logs, state)
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss, seen = contrast(z)
    dz = tape.gradient(loss, z)
    for variable, value in zip(others, begun):
        variable.assign(value)
    found = _backwards(forward, dz, variables, count, own, floating)
    return found, means, seen


def _backwards(forward, dz, variables, count, own, floating):
    """Sum over the micro-batches of what dz says about the variables."""
    connected = [False] * len(variables)

    def body(number, carry):
        sums, drift = list(carry[0]), carry[1]
        floating.reset()
        with tf.GradientTape() as tape:
            z, scalars = forward(number)
            targets = [tf.cast(z, dz.dtype)]
            weights = [tf.gather(dz, places(number, count, dz.shape[0]))]
            if own is not None:
                targets.append(own(scalars))
                weights.append(tf.ones_like(targets[-1]))
        parts = tape.gradient(targets, variables, output_gradients=weights)
        for index, part in enumerate(parts):
            if part is not None:
                connected[index] = True
                sums[index] += tf.convert_to_tensor(part)
        drift = [a + b for a, b in zip(drift, floating.moved())]
        return sums, drift

    zeros = [tf.zeros(v.shape, v.dtype) for v in variables]
    sums, drift = _one_after_the_other(body, (zeros, floating.still()), count)
    floating.move([total / count for total in drift])
    return [s if known else None for s, known in zip(sums, connected)]


class _Floating:
    """Floating state as it was before a step, and what becomes of it."""

    def __init__(self, state):
        self._variables = [v for v in state if v.dtype.is_floating]
        self._before = [tf.identity(v) for v in self._variables]

    def reset(self):
        for variable, value in zip(self._variables, self._before):
            variable.assign(value)

    def still(self):
        return [tf.zeros_like(value) for value in self._before]

    def moved(self):
        # Differences: what stays the same stays so to the last bit.
        return [
            tf.identity(v) - b for v, b in zip(self._variables, self._before)
        ]

    def move(self, by):
        for variable, before, change in zip(self._variables, self._before, by):
            variable.assign(before + change)


def _one_after_the_other(body, carry, count):
    """`carry = body(number, carry)` for all numbers, never two at a time."""
    if replicas.collectives_allowed_in_loop():
        return tf.while_loop(
            lambda number, _: number < count,
            lambda number, carry: (number + 1, body(number, carry)),
            (tf.constant(0), carry),
            parallel_iterations=1,
        )[1]
    for index in range(count):
        # All that the body does begins with its number.
        with tf.control_dependencies(tf.nest.flatten(carry)):
            number = tf.identity(index)
        carry = body(number, carry)
    return carry
