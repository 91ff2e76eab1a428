"""Exact search for the most similar of many features, block by block."""

import importlib.util

import numpy as np

from simclr_keras.evaluation.features import check_features
from simclr_keras.evaluation.features import unit_rows

# Similarities that are held at a time: 64 MB of float32.
_BLOCK_CELLS = 2**24


def nearest(queries, bank, k, *, library="auto"):
    """The k rows of a bank that are most similar to each query.

    Similarity is the cosine. The search is exact; rows of equal similarity
    come in their order in the bank (but by FAISS).

    Args:
        queries: float `[m, C]`.
        bank: float `[n, C]`; may be a `numpy.memmap`, of which a block is read
            at a time.
        k: 1 to n.
        library: "numpy"; "faiss", which must be installed and holds the whole
            bank in memory; or "auto" (default): FAISS where it is installed
            and the bank lies in memory.

    Returns:
        Pair of int64 `[m, k]`, rows of the bank, the most similar first; and
        float32 `[m, k]`, their similarities.

    Raises:
        ValueError: an argument is out of its range, or shapes do not fit.
        ImportError: FAISS is asked for and not installed.
    """
    queries, _ = check_features("queries", queries)
    if getattr(bank, "ndim", 0) != 2 or bank.shape[1] != queries.shape[1]:
        raise ValueError(
            f"bank must be of the queries' width {queries.shape[1]}. Received:"
            f" shape {getattr(bank, 'shape', None)}"
        )
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= len(bank):
        raise ValueError(
            f"k must be an integer from 1 to {len(bank)}, the rows of the"
            f" bank. Received: k={k!r}"
        )
    if library not in ("auto", "numpy", "faiss"):
        raise ValueError(
            f"library must be auto, numpy or faiss. Received: {library!r}"
        )
    queries = unit_rows(queries)
    if library == "auto":
        there = importlib.util.find_spec("faiss") is not None
        mapped = isinstance(bank, np.memmap)
        library = "faiss" if there and not mapped else "numpy"
    search = _by_faiss if library == "faiss" else _by_blocks
    return search(queries, bank, int(k))


def _by_faiss(queries, bank, k):
    import faiss

    index = faiss.IndexFlatIP(bank.shape[1])
    index.add(unit_rows(bank))
    similarities, rows = index.search(queries, k)
    return rows, similarities


def _by_blocks(queries, bank, k):
    rows = np.zeros((len(queries), 0), np.int64)
    best = np.zeros((len(queries), 0), np.float32)
    size = max(k, _BLOCK_CELLS // max(len(queries), bank.shape[1]))
    for start in range(0, len(bank), size):
        found = queries @ unit_rows(bank[start : start + size]).T
        places = np.arange(start, start + found.shape[1])
        best = np.concatenate([best, found], axis=1)
        rows = np.concatenate(
            [rows, np.broadcast_to(places, found.shape)], axis=1
        )
        # Stable: among equals the earlier row stays in front.
        order = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(best, order, axis=1)
        rows = np.take_along_axis(rows, order, axis=1)
    return rows, best
