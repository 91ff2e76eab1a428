"""Gradients by micro-batches against one tape around everything.

A network of one matrix in float64, so that the two differ by roundings of
1e-16 only.
"""

import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.contrastive import gradient_cache

ROWS, INPUTS, DIM = 12, 5, 3


class _Toy:
    """z = tanh(x w + scale sin(seed)), with state of both kinds.

    Every call doubles `scale`, floating state, and adds one to `seed`, state
    of another kind; the forward pass depends on both.
    """

    def __init__(self):
        draw = np.random.default_rng(0).normal
        self.x = tf.constant(draw(size=(ROWS, 2, INPUTS)))
        self.w = tf.Variable(draw(size=(INPUTS, DIM)))
        self.unused = tf.Variable(tf.zeros([2], tf.float64))
        self.scale = tf.Variable(tf.constant(0.25, tf.float64))
        self.fixed = tf.Variable(tf.constant([1 / 3], tf.float64))
        self.seed = tf.Variable(7, dtype=tf.int64)

    variables = property(lambda self: [self.w, self.unused])
    state = property(lambda self: [self.scale, self.seed, self.fixed])

    def z(self, rows):
        shift = self.scale * tf.sin(tf.cast(self.seed, tf.float64))
        self.scale.assign(
            2 * self.scale + tf.reduce_sum(tf.gather(self.x, rows))
        )
        self.seed.assign_add(1)
        return tf.tanh(tf.gather(self.x, rows) @ self.w + shift)


def _loss(z):
    return sk.NTXent(0.5)(z[:, 0], z[:, 1])


def _extra_loss(scalars):
    return tf.cast(scalars["first"], tf.float64)


def _by_micro_batches(toy, count):
    def forward(number):
        z = toy.z(gradient_cache.micro_batch_rows(number, count, ROWS))
        return z, {"first": tf.cast(tf.reduce_sum(z[0]), tf.float32)}

    def contrast(z):
        return _loss(z), z

    return gradient_cache.gradients(
        forward,
        contrast,
        toy.variables,
        tf.zeros([ROWS, 2, DIM], tf.float64),
        count,
        logs=["first"],
        extra_loss=_extra_loss,
        state=toy.state,
    )


def _by_one_tape(toy, count):
    """The same without caching: rows and state are handled by hand."""
    scale, scales, parts, extra = float(toy.scale), [], [None] * ROWS, 0.0
    with tf.GradientTape() as tape:
        for number in range(count):
            toy.scale.assign(scale)
            rows = list(range(number, ROWS, count))
            z = toy.z(rows)
            extra += _extra_loss(
                {"first": tf.cast(tf.reduce_sum(z[0]), tf.float32)}
            )
            scales.append(float(toy.scale))
            for row, value in zip(rows, tf.unstack(z)):
                parts[row] = value
        z = tf.stack(parts)
        loss = _loss(z) + extra
    toy.scale.assign(np.mean(scales))
    return tape.gradient(loss, toy.variables), extra / count, z


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_gradient_scalars_order_and_state(count, graph):
    """Eagerly, and in a graph, where micro-batches are a loop."""
    toy, twin = _Toy(), _Toy()
    run = tf.function(_by_micro_batches) if graph else _by_micro_batches
    (gradient, unused), scalars, z = run(toy, count)
    (expected, _), extra, z_expected = _by_one_tape(twin, count)
    # The term of a float32 scalar rounds the gradient's share of it.
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    np.testing.assert_allclose(z, z_expected, rtol=1e-14)
    np.testing.assert_allclose(scalars["first"], extra, rtol=1e-6)
    assert unused is None
    np.testing.assert_allclose(toy.scale, twin.scale, rtol=1e-14)
    assert int(toy.seed) == int(twin.seed) == 7 + count
    np.testing.assert_array_equal(toy.fixed, [1 / 3])


def test_gradient_to_the_last_digits():
    """Without the float32 term."""

    def gradient(count):
        toy = _Toy()
        toy.scale.assign(0.0)
        toy.z = lambda rows: tf.tanh(tf.gather(toy.x, rows) @ toy.w)
        return gradient_cache.gradients(
            lambda k: (
                toy.z(gradient_cache.micro_batch_rows(k, count, ROWS)),
                {},
            ),
            lambda z: (_loss(z), None),
            [toy.w],
            tf.zeros([ROWS, 2, DIM], tf.float64),
            count,
        )[0][0]

    toy = _Toy()
    with tf.GradientTape() as tape:
        loss = _loss(tf.tanh(toy.x @ toy.w))
    expected = tape.gradient(loss, toy.w)
    for count in (1, 3, 12):
        np.testing.assert_allclose(
            gradient(count), expected, rtol=1e-12, atol=1e-15
        )


def test_the_loop_does_not_grow_the_graph():
    """On one replica, one loop body is traced for all micro-batches."""

    def operations(count):
        traced = tf.function(_by_micro_batches).get_concrete_function(
            _Toy(), count
        )
        graph = traced.graph.as_graph_def()
        return len(graph.node) + sum(
            len(f.node_def) for f in graph.library.function
        )

    assert operations(2) == operations(6)
