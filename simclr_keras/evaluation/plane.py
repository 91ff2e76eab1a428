"""Projects features to two dimensions, by UMAP or t-SNE."""

from __future__ import annotations

import importlib.util

import numpy as np

from simclr_keras.evaluation.features import check_features

_COLUMNS = 50  # to which PCA reduces wider features before t-SNE


def to_plane(
    h: np.ndarray, *, method: str = "auto", seed: int = 0
) -> tuple[np.ndarray, str]:
    """Projects features to two dimensions.

    Args:
        h: float `[n, C]`, n at least 4.
        method: "umap", which must be installed; "tsne"; or "auto" (default):
            UMAP if it is installed, else t-SNE.
        seed: seed of the random numbers. Defaults to 0.

    Returns:
        Pair of float32 `[n, 2]` and the name of the method that was used.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: UMAP is requested and not installed.

    References:
        van der Maaten and Hinton 2008, "Visualizing Data using t-SNE"; McInnes
        et al. 2018, arXiv 1802.03426.
    """
    h, _ = check_features("h", h)
    if len(h) < 4:
        raise ValueError(f"h must have at least 4 rows. Received: {len(h)}")
    if method not in ("auto", "umap", "tsne"):
        raise ValueError(
            f"method must be auto, umap or tsne. Received: {method!r}"
        )
    if method == "auto":
        installed = importlib.util.find_spec("umap") is not None
        method = "umap" if installed else "tsne"
    if method == "umap":
        import umap

        # A seed allows one thread only; UMAP warns unless `n_jobs` says so.
        reducer = umap.UMAP(
            min(15, len(h) - 1), metric="cosine", random_state=seed, n_jobs=1
        )
        return np.asarray(reducer.fit_transform(h), np.float32), method
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    columns = min(_COLUMNS, *h.shape)
    reduced = PCA(columns, random_state=seed).fit_transform(h)
    tsne = TSNE(
        perplexity=min(30.0, (len(h) - 1) / 3), init="pca", random_state=seed
    )
    return tsne.fit_transform(reduced).astype(np.float32), method
