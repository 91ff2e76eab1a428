"""Sums over all pairs of views tile by tile, in linear memory."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import similarity

_SECOND_DERIVATIVE_ERROR = (
    "the loss of a batch whose logits are computed in tiles can be"
    " differentiated once only"
)


def log_sum_negatives(
    anchors: tf.Tensor,
    candidates: tf.Tensor | None = None,
    first_anchor: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Log of the sum of exp(u.v) over the negatives v of each anchor u.

    Rows 2i and 2i + 1 are the two views of the same image; views of the
    anchor's own image are not negatives. No matrix larger than a tile is ever
    stored: the backward pass computes the products again, and the softmax from
    them with the maximum and the sum of each anchor.

    Args:
        anchors: `[2n, d]`, float32 or float64.
        candidates: `[2N, d]`, or None if the candidates are the anchors: the
            products are then symmetric, and half of them are computed.
        first_anchor: index of the candidates' image that is the first image of
            the anchors; int or scalar integer tensor.

    Returns:
        `[2n]`; the lowest float if there is no negative (N = 1). It can be
        differentiated once, with respect to anchors and candidates.
    """
    grid = _Grid.of(anchors, candidates, first_anchor)

    @tf.custom_gradient
    def function(*views):
        # Otherwise an eager tape would store every tile.
        views = [tf.stop_gradient(view) for view in views]
        rows = grid.rows.parts(views[0])
        columns = rows if grid.symmetric else grid.columns.parts(views[1])
        maxima, sums = _forward(grid, rows, columns)
        value = grid.rows.join(maxima + tf.math.log(sums))

        def gradient(upstream):
            # Uses the maximum and the sum, not the log of the sum, from which
            # the softmax would lose precision if products are large.
            weights = grid.rows.parts(upstream) / sums
            return [
                tf.raw_ops.PreventGradient(
                    input=part, message=_SECOND_DERIVATIVE_ERROR
                )
                for part in _backward(grid, rows, columns, maxima, weights)
            ]

        return value, gradient

    if candidates is None:
        return function(anchors)
    return function(anchors, candidates)


@dataclasses.dataclass(frozen=True)
class _Grid:
    """Divides the matrix of all anchors by all candidates into tiles."""

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
        # Few anchors, as on one replica of many, allow wider tiles.
        width = side * side // rows.size
        columns = chunking.RowPartition.of(chunking.shape(candidates)[0], width)
        return cls(rows, columns, tf.cast(first_anchor, tf.int32), False)

    @property
    def _tiles_per_row(self):
        # Of a symmetric matrix, row i visits the columns i to i + count // 2,
        # modulo count. As count is odd, this visits each pair once.
        if self.symmetric:
            return self.rows.count // 2 + 1
        return self.columns.count

    @property
    def steps(self):
        """Number of tiles that the loop visits."""
        return self.rows.count * self._tiles_per_row

    def tile(self, step):
        """Row and column of the tile that a step visits."""
        i, j = step // self._tiles_per_row, step % self._tiles_per_row
        if self.symmetric:
            j = (i + j) % self.rows.count
        return i, j

    def products(self, i, j, rows, columns):
        """One tile of products, with the lowest float for pairs left out."""
        # [size, d] x [d, size]
        products = similarity.similarities(rows[i], columns[j])
        first_row = self.first_anchor + i * (self.rows.size // 2)
        first_column = j * (self.columns.size // 2)
        has_own_images = (first_row < first_column + self.columns.size // 2) & (
            first_column < first_row + self.rows.size // 2
        )
        has_padding = ((i + 1) * self.rows.size > self.rows.length) | (
            (j + 1) * self.columns.size > self.columns.length
        )
        return tf.cond(
            has_own_images | has_padding,
            lambda: self._masked(products, first_row, first_column),
            lambda: products,
        )

    def _masked(self, products, first_row, first_column):
        row = (first_row + tf.range(self.rows.size) // 2)[:, tf.newaxis]
        column = first_column + tf.range(self.columns.size) // 2
        out = (row == column) | (column >= self.columns.length // 2)
        out |= row >= self.first_anchor + self.rows.length // 2
        # Exp of the lowest float is exactly 0 in the sum, however large the
        # products are, and unlike -inf it gives no NaN if no pair is left.
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
        totals = absorb(maxima, sums, i, *summary(products, axis=1))
        if grid.symmetric:
            nothing = (
                tf.fill([side.size], dtype.min),
                tf.zeros_like(rows[0, :, 0]),
            )
            transposed = tf.cond(
                i == j, lambda: nothing, lambda: summary(products, axis=0)
            )
            totals = absorb(*totals, j, *transposed)
        return (step + 1, *totals)

    maxima, sums = _loop(grid, visit, stored(dtype.min), stored(0))
    return maxima, sums


def _backward(grid, rows, columns, maxima, weights):
    """Gradients of the anchors, and of the candidates if these differ."""

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
        # Each product contributes to the anchors of its row and its column.
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
        (by_rows,) = _loop(grid, visit_symmetric, _stored(tf.zeros_like(rows)))
        return [grid.rows.join(by_rows)]
    by_rows, by_columns = _loop(
        grid,
        visit,
        _stored(tf.zeros_like(rows)),
        _stored(tf.zeros_like(columns)),
    )
    return [grid.rows.join(by_rows), grid.columns.join(by_columns)]


def _stored(tiles):
    """Makes a TensorArray: a loop can change a row without copying the rest."""
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
        parallel_iterations=1,  # parallel ones would each store a tile
    )
    return [array.stack() for array in stored]
