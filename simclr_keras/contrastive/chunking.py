"""Splits rows so that a matrix of all pairs never exists as a whole."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from simclr_keras.distribute import strategy

# Parts have a multiple of this many rows, which suits the vector units of
# matrix products.
_STEP = 16


def tile_bytes() -> int:
    """Bytes of one tile, the part of a matrix that is computed at a time.

    About three tiles exist at once. On a CPU they should stay in its last-level
    cache (and malloc takes blocks above 32 MiB anew from the system, which
    clears them each time); an accelerator is faster with fewer, larger steps.
    """
    return 2**24 if strategy.only_cpus() else 2**26


def fits_one_tile(
    rows: int | tf.Tensor, columns: int | tf.Tensor, dtype: tf.DType
) -> bool:
    """Whether a matrix `[rows, columns]` is known to fit into one tile."""
    known = isinstance(rows, int) and isinstance(columns, int)
    return known and rows * columns * dtype.size <= tile_bytes()


def tile_side(dtype: tf.DType) -> int:
    """Rows of a square tile."""
    return max(_STEP, math.isqrt(tile_bytes() // dtype.size))


def shape(tensor: tf.Tensor) -> list[int | tf.Tensor]:
    """List of the lengths: ints where they are known, else tensors."""
    lengths = tf.shape(tensor)
    return [
        lengths[axis] if known is None else known
        for axis, known in enumerate(tensor.shape)
    ]


@dataclasses.dataclass(frozen=True)
class RowPartition:
    """Division of rows into parts of one size, the last padded with zeros.

    Attributes:
        length: number of rows; like the others an int, or a tensor where
            shapes are not known.
        size: rows of a part, an even number.
        count: number of parts.
    """

    length: Any
    size: Any
    count: Any

    @classmethod
    def of(
        cls, length: int | tf.Tensor, most: int | tf.Tensor, odd: bool = False
    ) -> RowPartition:
        """Parts of about equal size, none much above `most` rows.

        Args:
            length: number of rows.
            most: rows of a part; int or integer tensor.
            odd: whether the number of parts has to be odd.
        """
        count = -(-length // most)
        if odd:
            count += 1 - count % 2
        return cls(length, -(-length // (count * _STEP)) * _STEP, count)

    def parts(self, rows: tf.Tensor) -> tf.Tensor:
        """Splits `[length, ...]` into `[count, size, ...]`."""
        padding = self.count * self.size - self.length
        inner = shape(rows)[1:]
        rows = tf.pad(rows, [[0, padding]] + [[0, 0]] * len(inner))
        return tf.reshape(rows, [self.count, self.size, *inner])

    def join(self, parts: tf.Tensor) -> tf.Tensor:
        """Joins `[count, size, ...]` to `[length, ...]`, without padding."""
        rows = [self.count * self.size, *shape(parts)[2:]]
        return tf.reshape(parts, rows)[: self.length]


def map_rows(
    function: Callable[..., tf.Tensor],
    rows: list[tf.Tensor],
    columns: int | tf.Tensor,
) -> tf.Tensor:
    """Computes a value of each row from its row of a matrix, part by part.

    Args:
        function: maps some rows of each tensor to their values, `[m, ...]`, of
            the dtype of the first tensor. Its matrices are `[m, columns]`.
        rows: list of tensors `[n, ...]`.
        columns: number of columns; int or integer tensor.

    Returns:
        `[n, ...]`, as from `function(*rows)`.
    """
    count, dtype = shape(rows[0])[0], rows[0].dtype
    if fits_one_tile(count, columns, dtype):
        return function(*rows)
    partition = RowPartition.of(
        count, 1 + tile_bytes() // dtype.size // columns
    )
    values = tf.map_fn(
        lambda parts: function(*parts),
        [partition.parts(tensor) for tensor in rows],
        fn_output_signature=dtype,
        parallel_iterations=1,  # parallel ones would each store a part
    )
    return partition.join(values)
