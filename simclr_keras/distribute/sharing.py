"""Divides rows among the processes of a run, and collects their results.

All processes must call the functions that collect together, and in the same
order. With one process, these return their argument.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from simclr_keras.distribute import workers

# Words of 4 bytes in one collective: a process needs a few times as much memory
# besides the rows themselves.
_WORDS = 2**22


def own_slice(strategy: tf.distribute.Strategy | None, count: int) -> slice:
    """Slice of `count` things that this process works on.

    The slices of all processes are contiguous, follow each other in the order
    of `workers.worker_number`, and differ in length by at most one.

    Args:
        strategy: strategy of the run; None: one process.
        count: number of things, such as batches or files.

    Returns:
        `slice(first, stop)`, perhaps of nothing.
    """
    number, processes = (
        workers.worker_number(strategy),
        workers.worker_count(strategy),
    )
    return slice(number * count // processes, (number + 1) * count // processes)


def gather_slices(
    strategy: tf.distribute.Strategy | None, rows: np.ndarray
) -> np.ndarray:
    """Concatenates the rows of all processes, bit for bit.

    Apart from the result, memory for some 100 MiB is needed, whatever the
    number of rows.

    Args:
        strategy: strategy of the run; None: one process.
        rows: array `[n, ...]` of the same rank and dtype in all processes, of 4
            or 8 bytes per number. n may differ; if it is 0, so may the lengths
            of the other axes.

    Returns:
        Array `[N, ...]`, the rows of the first process first.
    """
    if not workers.spans_processes(strategy):
        return rows
    processes, number = (
        workers.worker_count(strategy),
        workers.worker_number(strategy),
    )
    shapes = np.zeros([processes, rows.ndim], np.int64)
    shapes[number] = rows.shape
    shapes = workers.worker_sum(strategy, shapes)
    counts, shape = shapes[:, 0], shapes[:, 1:].max(axis=0)
    result = np.empty([counts.sum(), *shape], rows.dtype)
    words = int(np.prod(shape)) * rows.itemsize // 4  # in a row
    if not words:
        return result
    # As integers, zeros can be added without changing a bit.
    parts = [_words(part, words) for part in np.split(result, counts.cumsum())]
    own = _words(np.ascontiguousarray(rows), words)
    size = max(1, _WORDS // (processes * words))
    for start in range(0, counts.max(), size):
        longest = int(min(size, counts.max() - start))
        block = np.zeros([processes, longest, words], np.int32)
        sent = own[start : start + size]
        block[number, : len(sent)] = sent
        block = workers.worker_sum(strategy, block)
        for part, received in zip(parts, block):
            target = part[start : start + size]
            target[:] = received[: len(target)]
    return result


def mean(
    strategy: tf.distribute.Strategy | None, value: float, count: int
) -> float:
    """Mean over the rows of all processes of what is true or false of each.

    Args:
        strategy: strategy of the run; None: one process.
        value: mean over the rows of this process, in [0, 1].
        count: number of these rows, perhaps 0.

    Returns:
        Float in [0, 1], exactly as one process computes it.

    Raises:
        ValueError: no process has a row.
    """
    if workers.spans_processes(strategy):
        sums = np.array([round(value * count), count], np.int64)
        true, count = workers.worker_sum(strategy, sums)
        value = float(true / count) if count else 0.0
    if not count:
        raise ValueError(
            "the data set that is measured must have at least one image; take"
            " a larger split, or keep its last batch (drop_remainder=False)."
            " Received: no image in any process"
        )
    return value


def in_turn(
    strategy: tf.distribute.Strategy | None,
    batches: Iterator[np.ndarray],
    count: int,
) -> Iterator[np.ndarray]:
    """Yields the batches of all processes, in every process.

    Of W processes, number w makes the batches w, w + W, w + 2 W, ...

    Args:
        strategy: strategy of the run; None: one process.
        batches: iterator of the batches of this process, float32 `[b, C]`.
        count: number of batches of all processes.

    Yields:
        float32 `[b, C]`, the rows of the next W batches, in their order.
    """
    if not workers.spans_processes(strategy):
        yield from batches
        return
    for _ in range(-(-count // workers.worker_count(strategy))):
        own = next(batches, np.zeros([0, 0], np.float32))
        yield gather_slices(strategy, own)


def _words(rows, words):
    """View of contiguous rows as integers `[n, words]` of 4 bytes."""
    return rows.reshape(-1).view(np.int32).reshape(-1, words)
