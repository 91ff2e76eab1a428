"""Sums over all pairs of views, a tile of them at a time: linear memory."""

import dataclasses
from typing import Any

import tensorflow as tf

from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import similarity

_ONCE = (
    "the loss of a batch whose logits are computed in tiles can be"
    " differentiated once only"
)


def log_sum_negatives(anchors, candidates=None, first_anchor=0):
    """Log of the sum of exp(u.v) over the negatives v of each anchor u.

    Views stand in pairs: rows 2i and 2i + 1 show the same image. Those of its
    own image are no negatives of an anchor. No matrix larger than a tile
    exists: the way back computes the products anew, from which it takes the
    softmax by each anchor's maximum and sum.

    Args:
        anchors: `[2n, d]`, float32 or float64.
        candidates: `[2N, d]`, or None where these are the anchors themselves:
            products are then symmetric and half of them are computed.
        first_anchor: image of the candidates that is the first one of the
            anchors; int or scalar integer tensor.

    Returns:
        `[2n]`; the lowest float where there is no negative (N = 1). It has a
        gradient by anchors and by candidates, which has none itself.
    """
    grid = _Grid.of(anchors, candidates, first_anchor)

    @tf.custom_gradient
    def function(*views):
        # A tape that runs eagerly would keep every tile.
        views = [tf.stop_gradient(view) for view in views]
        rows = grid.rows.parts(views[0])
        columns = rows if grid.symmetric else grid.columns.parts(views[1])
        maxima, sums = _forward(grid, rows, columns)
        value = grid.rows.join(maxima + tf.math.log(sums))

        def gradient(upstream):
            # By maximum and sum, not by their logarithm: that would lose the
            # digits of the softmax where products are large.
            weights = grid.rows.parts(upstream) / sums
            return [
                tf.raw_ops.PreventGradient(input=each, message=_ONCE)
                for each in _backward(grid, rows, columns, maxima, weights)
            ]

        return value, gradient

    if candidates is None:
        return function(anchors)
    return function(anchors, candidates)


@dataclasses.dataclass(frozen=True)
class _Grid:
    """Tiles of the matrix of all anchors by all candidates."""

    rows: chunking.RowPartition
    columns: chunking.RowPartition
    first_anchor: Any
    symmetric: bool

    @classmethod
    def of(cls, anchors, candidates, first_anchor):
        """The grid for these views."""
        side = chunking.tile_side(anchors.dtype)
        symmetric = candidates is None
        rows = chunking.RowPartition.of(
            chunking.shape(anchors)[0], side, symmetric
        )
        if symmetric:
            return cls(rows, rows, 0, True)
        # Few anchors, as of one replica of many, take wider tiles.
        width = side * side // rows.size
        columns = chunking.RowPartition.of(chunking.shape(candidates)[0], width)
        return cls(rows, columns, tf.cast(first_anchor, tf.int32), False)

    @property
    def _tiles_per_row(self):
        # With an odd number around a circle, each pair of tiles is met once
        # by going half around from each.
        if self.symmetric:
            return self.rows.count // 2 + 1
        return self.columns.count

    @property
    def steps(self):
        """Number of tiles to visit."""
        return self.rows.count * self._tiles_per_row

    def tile(self, step):
        """Row and column of the tile that is visited in a step."""
        i, j = step // self._tiles_per_row, step % self._tiles_per_row
        if self.symmetric:
            j = (i + j) % self.rows.count
        return i, j

    def products(self, i, j, rows, columns):
        """One tile, the lowest float where a pair does not count."""
        # [size, d] x [d, size]
        products = similarity.similarities(rows[i], columns[j])
        first_row = self.first_anchor + i * (self.rows.size // 2)
        first_column = j * (self.columns.size // 2)
        own = (first_row < first_column + self.columns.size // 2) & (
            first_column < first_row + self.rows.size // 2
        )
        filled = ((i + 1) * self.rows.size > self.rows.length) | (
            (j + 1) * self.columns.size > self.columns.length
        )
        return tf.cond(
            own | filled,
            lambda: self._masked(products, first_row, first_column),
            lambda: products,
        )

    def _masked(self, products, first_row, first_column):
        row = (first_row + tf.range(self.rows.size) // 2)[:, tf.newaxis]
        column = first_column + tf.range(self.columns.size) // 2
        out = (row == column) | (column >= self.columns.length // 2)
        out |= row >= self.first_anchor + self.rows.length // 2
        # The lowest float leaves nothing behind in the sum, however large the
        # products are, and unlike -inf it makes no NaN where nothing is left.
        return tf.where(out, products.dtype.min, products)


def _forward(grid, rows, columns):
    """Maxima and sums of exp(product - maximum), `[count, size]` each."""
    dtype, side = rows.dtype, grid.rows

    def stored(value):
        start = tf.fill([side.count, side.size], tf.constant(value, dtype))
        return _stored(start)

    def absorb(maxima, sums, i, maximum, total):
        before = maxima.read(i)
        most = tf.maximum(before, maximum)
        total *= tf.exp(maximum - most)
        total += sums.read(i) * tf.exp(before - most)
        return maxima.write(i, most), sums.write(i, total)

    def summary(products, axis):
        maximum = tf.reduce_max(products, axis=axis, keepdims=True)
        total = tf.reduce_sum(tf.exp(products - maximum), axis=axis)
        return tf.squeeze(maximum, axis), total

    def visit(step, maxima, sums):
        i, j = grid.tile(step)
        products = grid.products(i, j, rows, columns)
        found = absorb(maxima, sums, i, *summary(products, axis=1))
        if grid.symmetric:
            nothing = (
                tf.fill([side.size], dtype.min),
                tf.zeros_like(rows[0, :, 0]),
            )
            transposed = tf.cond(
                i == j, lambda: nothing, lambda: summary(products, axis=0)
            )
            found = absorb(*found, j, *transposed)
        return (step + 1, *found)

    maxima, sums = _loop(grid, visit, stored(dtype.min), stored(0))
    return maxima, sums


def _backward(grid, rows, columns, maxima, weights):
    """Gradients by the anchors and, where they are others, the candidates."""

    def add(gradient, i, addend):
        return gradient.write(i, gradient.read(i) + addend)

    def visit(step, by_rows, by_columns):
        i, j = grid.tile(step)
        u, v, weight = rows[i], columns[j], weights[i][:, tf.newaxis]
        products = grid.products(i, j, rows, columns)
        softmax = tf.exp(products - maxima[i][:, tf.newaxis])
        # [size, size] x [size, d], twice
        by_rows = add(by_rows, i, weight * tf.matmul(softmax, v))
        by_columns = add(
            by_columns, j, tf.matmul(softmax, weight * u, transpose_a=True)
        )
        return step + 1, by_rows, by_columns

    def visit_symmetric(step, gradient):
        i, j = grid.tile(step)
        u, v = rows[i], rows[j]
        products = grid.products(i, j, rows, rows)
        # Each product counts for its row's anchor and for its column's.
        both = tf.exp(products - maxima[i][:, tf.newaxis])
        both *= weights[i][:, tf.newaxis]
        both += tf.exp(products - maxima[j]) * weights[j]
        gradient = add(gradient, i, tf.matmul(both, v))
        transposed = tf.cond(
            i == j,
            lambda: tf.zeros_like(v),
            lambda: tf.matmul(both, u, transpose_a=True),
        )
        return step + 1, add(gradient, j, transposed)

    if grid.symmetric:
        (found,) = _loop(grid, visit_symmetric, _stored(tf.zeros_like(rows)))
        return [grid.rows.join(found)]
    by_rows, by_columns = _loop(
        grid,
        visit,
        _stored(tf.zeros_like(rows)),
        _stored(tf.zeros_like(columns)),
    )
    return [grid.rows.join(by_rows), grid.columns.join(by_columns)]


def _stored(tiles):
    """Tiles that a loop can change one by one without copying the others."""
    array = tf.TensorArray(
        tiles.dtype,
        size=chunking.shape(tiles)[0],
        element_shape=tiles.shape[1:],
        clear_after_read=False,
    )
    return array.unstack(tiles)


def _loop(grid, visit, *stored):
    _, *stored = tf.while_loop(
        lambda step, *_: step < grid.steps,
        visit,
        (tf.constant(0), *stored),
        parallel_iterations=1,  # each would have its own tile in memory
    )
    return [array.stack() for array in stored]
