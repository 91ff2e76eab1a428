"""Searches a bank of features for the most similar ones, exactly."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from simclr_keras import scalars
from simclr_keras.evaluation.features import check_features
from simclr_keras.evaluation.features import unit_rows

# Number of similarities in memory at a time: 64 MB of float32.
_BLOCK_CELLS = 2**24
# Default number of queries that are compared with the bank at a time. The bank
# is read and scaled once for each block of queries.
_BLOCK_QUERIES = 2**12


def nearest(
    queries: np.ndarray, bank: np.ndarray, k: int, *, library: str = "auto"
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k rows of a bank that are most similar to each query.

    Similarity is the cosine. The search is exact; rows of equal similarity keep
    their order in the bank (except with FAISS).

    Args:
        queries: float `[m, C]`.
        bank: float `[n, C]`; may be what `open_embeddings` yields, a
            `numpy.memmap` or `EmbeddingShards`, which is read block by block.
        k: number of rows that are returned for each query, 1 to n.
        library: "numpy": the search of this module, which needs no other
            library; "faiss", which must be installed and keeps the whole bank
            in memory; or "auto" (default): FAISS if it is installed and the
            bank is in memory.

    Returns:
        Pair of int64 `[m, k]`, rows of the bank, the most similar first; and
        float32 `[m, k]`, their similarities.

    Raises:
        ValueError: an argument is out of its range, or shapes do not fit.
        ImportError: FAISS is requested and not installed.
    """
    queries, _ = check_features("queries", queries)
    if getattr(bank, "ndim", 0) != 2 or bank.shape[1] != queries.shape[1]:
        raise ValueError(
            f"bank must be of the queries' width {queries.shape[1]}. Received:"
            f" shape {getattr(bank, 'shape', None)}"
        )
    if not scalars.is_whole(k) or not 1 <= k <= len(bank):
        raise ValueError(
            f"k must be an integer from 1 to {len(bank)}, the rows of the"
            f" bank. Received: k={k!r}"
        )
    if library not in ("auto", "numpy", "faiss"):
        raise ValueError(
            f"library must be auto, numpy or faiss. Received: {library!r}"
        )
    if library == "auto":
        installed = importlib.util.find_spec("faiss") is not None
        mapped = isinstance(bank, np.memmap) or not isinstance(bank, np.ndarray)
        library = "faiss" if installed and not mapped else "numpy"
    if library == "faiss":
        return _search_with_faiss(queries, bank, int(k))
    rows, similarities = zip(*search(queries, bank, int(k)))
    return np.concatenate(rows), np.concatenate(similarities)


def search(
    queries: np.ndarray, bank: np.ndarray, k: int, block_size: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the k most similar rows of a bank for blocks of queries.

    Memory does not grow with n or m: at most `_BLOCK_CELLS` similarities and as
    many elements of the bank are in memory at a time, but at least k rows.

    Args:
        queries: float `[m, C]`.
        bank: float `[n, C]`, in memory or memory-mapped.
        k: 1 to n.
        block_size: number b of queries in a block. Defaults to None: 4096.

    Yields:
        Pair of int64 `[b, k]`, rows of the bank, the most similar first, equal
        ones in the order of the bank; and float32 `[b, k]`, their cosine
        similarities.
    """
    block_size = block_size or _BLOCK_QUERIES
    for start in range(0, len(queries), block_size):
        yield _search_block(queries[start : start + block_size], bank, k)


def _search_block(queries, bank, k):
    queries = tf.constant(unit_rows(queries))
    size = max(k, _BLOCK_CELLS // max(queries.shape))
    rows = tf.zeros([len(queries), 0], tf.int64)
    best = tf.zeros([len(queries), 0], tf.float32)
    for start in range(0, len(bank), size):
        block = tf.constant(_unit_bank(bank[start : start + size]))
        found = tf.matmul(queries, block, transpose_b=True)  # [b, C] x [C, s]
        found, places = tf.math.top_k(found, min(k, len(block)))
        rows = tf.concat([rows, tf.cast(places, tf.int64) + start], axis=1)
        best = tf.concat([best, found], axis=1)
        # Rows found earlier come first, and top_k keeps the order of equals.
        best, places = tf.math.top_k(best, min(k, best.shape[1]))
        rows = tf.gather(rows, places, batch_dims=1)
    return rows.numpy(), best.numpy()


def _unit_bank(rows):
    """`unit_rows` of the bank, or of a block of it."""
    rows = unit_rows(rows)
    if not np.isfinite(rows).all():
        raise ValueError(
            "bank must be finite. Received: features with NaN or infinity"
        )
    return rows


def _search_with_faiss(queries, bank, k):
    import faiss

    index = faiss.IndexFlatIP(bank.shape[1])
    index.add(_unit_bank(bank))
    similarities, rows = index.search(unit_rows(queries), k)
    return rows, similarities
