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
        h: float `[n, C]`, n at least 4 and C at least 2, not all rows equal.
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
    _check_spread(h)
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
    reduced = PCA(columns, random_state=seed).fit_transform(_centred(h))
    tsne = TSNE(
        perplexity=min(30.0, (len(h) - 1) / 3), init="pca", random_state=seed
    )
    return tsne.fit_transform(reduced).astype(np.float32), method


def _check_spread(h):
    """Refuses features that no method can map."""
    if len(h) < 4:
        raise ValueError(f"h must have at least 4 rows. Received: {len(h)}")
    if h.shape[1] < 2:
        raise ValueError(
            "h must have at least 2 columns to be mapped to two dimensions."
            f" Received: shape {h.shape}"
        )
    if (h == h[0]).all():
        raise ValueError(
            "h must vary: features that are the same for every image cannot be"
            " mapped. The encoder has collapsed, or all images are equal."
            f" Received: {len(h)} equal rows"
        )


def _centred(h):
    """Subtracts the mean and divides by the largest magnitude, float32.

    The map does not depend on the scale. scikit-learn's t-SNE computes it in
    float32 though, and where the squares of small differences become 0, it
    starts from NaN, which ends the process by a segmentation fault.
    """
    h = h - h.mean(axis=0, dtype=np.float64)
    return (h / np.abs(h).max()).astype(np.float32)
