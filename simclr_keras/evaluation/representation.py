"""Measures the spread of features: uniformity, effective rank and others."""

from __future__ import annotations

import dataclasses

import numpy as np

from simclr_keras.contrastive import representation_health
from simclr_keras.evaluation.features import check_features


@dataclasses.dataclass(frozen=True)
class RepresentationQuality:
    """Result of `representation_quality`.

    Attributes:
        row_count: number of images that were measured.
        width: number C of dimensions.
        std: standard deviation of each dimension of the unit-length rows, mean
            over dimensions; 0 if collapsed, 1/sqrt(C) if spread evenly.
        uniformity: in [-8, 0], lower is better.
        effective_rank: number of directions in use, in
            [1, min(2 * row_count, C)].
        alignment: mean squared distance of two views of an image, in [0, 4],
            lower is better; None without second views.
        per_dimension_std: float32 `[C]`, standard deviation of each dimension
            of the features without normalisation, over all rows.
        dead_dimensions: number of dimensions that are constant over all rows.
    """

    row_count: int
    width: int
    std: float
    uniformity: float
    effective_rank: float
    alignment: float | None
    per_dimension_std: np.ndarray
    dead_dimensions: int


def representation_quality(
    features: np.ndarray,
    second_views: np.ndarray | None = None,
    *,
    max_rows: int = 4096,
    seed: int = 0,
) -> RepresentationQuality:
    """Measures the spread of features h or projections z of a data set.

    The definitions are those of `contrastive.representation_health`, which
    training logs for single batches.

    Args:
        features: float `[n, C]`, n at least 2.
        second_views: float `[n, C]`: row i is another view of the image of row
            i of `features`. Defaults to None: no alignment.
        max_rows: number of random rows for all but the last two numbers of the
            result, because uniformity compares every pair of rows. Defaults to
            4096.
        seed: seed of the random rows. Defaults to 0.

    Returns:
        `RepresentationQuality`.

    Raises:
        ValueError: shapes do not fit, or features are not finite.
    """
    features, _ = check_features("features", features)
    if second_views is not None:
        second_views, _ = check_features("second_views", second_views)
        if second_views.shape != features.shape:
            raise ValueError(
                "second_views must have the shape of features. Received:"
                f" {second_views.shape} and {features.shape}"
            )
    row_count, width = features.shape
    if row_count < 2 or max_rows < 2:
        raise ValueError(
            "features must hold at least two rows, and max_rows be at least 2."
            f" Received: {row_count} rows, max_rows={max_rows}"
        )
    rows = np.arange(row_count)
    if row_count > max_rows:
        rows = np.random.default_rng(seed).permutation(row_count)[:max_rows]
    first = features[rows]
    # Without second views the first ones are passed twice, which does not
    # change spread, uniformity and rank.
    second = first if second_views is None else second_views[rows]
    health = representation_health(first, second)
    deviation = features.std(axis=0, dtype=np.float64)
    return RepresentationQuality(
        row_count=len(rows),
        width=width,
        std=float(health["z_std"]),
        uniformity=float(health["uniformity"]),
        effective_rank=float(health["effective_rank"]),
        alignment=None if second_views is None else float(health["alignment"]),
        per_dimension_std=deviation.astype(np.float32),
        dead_dimensions=int(np.sum(np.ptp(features, axis=0) == 0)),
    )
