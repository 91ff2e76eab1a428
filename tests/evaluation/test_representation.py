"""Quality of representations, against NumPy loops and known limits."""

import numpy as np
import pytest

from simclr_keras import evaluation

pytestmark = pytest.mark.newest


def _unit(h):
    return h / np.linalg.norm(h, axis=1, keepdims=True)


def test_all_numbers_equal_loops_from_the_definitions():
    rng = np.random.RandomState(0)
    a, b = rng.randn(20, 6), rng.randn(20, 6)
    found = evaluation.representation_quality(a, b)
    ua, ub = _unit(a), _unit(b)
    rows = np.concatenate([ua, ub])
    uniformity = []
    for view in (ua, ub):
        kernel = [
            np.exp(-2 * np.sum((view[i] - view[j]) ** 2))
            for i in range(20)
            for j in range(20)
            if i != j
        ]
        uniformity.append(np.log(np.mean(kernel)))
    shares = np.linalg.svd(rows, compute_uv=False)
    shares /= shares.sum()
    rank = np.exp(-np.sum(shares * np.log(shares)))
    distances = [np.sum((x - y) ** 2) for x, y in zip(ua, ub)]
    assert found.row_count == 20
    assert found.width == 6
    assert found.std == pytest.approx(rows.std(axis=0).mean(), rel=1e-5)
    assert found.alignment == pytest.approx(np.mean(distances), rel=1e-5)
    assert found.uniformity == pytest.approx(np.mean(uniformity), rel=1e-5)
    assert found.effective_rank == pytest.approx(rank, rel=1e-5)
    np.testing.assert_allclose(
        found.per_dimension_std, a.std(axis=0), rtol=1e-5
    )


def test_without_second_views_it_is_the_first_ones_alone():
    """The same numbers as for two equal views, except for the alignment."""
    h = np.random.RandomState(0).randn(30, 5)
    alone = evaluation.representation_quality(h)
    twice = evaluation.representation_quality(h, h)
    assert alone.alignment is None
    assert twice.alignment == pytest.approx(0, abs=1e-6)
    assert alone.uniformity == twice.uniformity
    assert alone.effective_rank == twice.effective_rank


def test_collapse_and_dead_dimensions_show():
    h = np.ones([40, 8])
    found = evaluation.representation_quality(h)
    assert found.std == pytest.approx(0, abs=1e-6)
    assert found.effective_rank == pytest.approx(1, abs=1e-4)
    assert found.uniformity == pytest.approx(0, abs=1e-5)
    assert found.dead_dimensions == 8
    h[:, :3] = np.random.RandomState(0).randn(40, 3)
    assert evaluation.representation_quality(h).dead_dimensions == 5


def test_large_sets_are_measured_on_drawn_rows():
    """Isotropic rows: std 1 / sqrt(d), and nearly all directions in use."""
    h = np.random.RandomState(0).randn(5000, 16)
    found = evaluation.representation_quality(h, max_rows=1000)
    again = evaluation.representation_quality(h, max_rows=1000, seed=1)
    assert found.row_count == 1000
    assert found.std == pytest.approx(0.25, rel=0.02)
    assert 15.5 < found.effective_rank <= 16.0
    assert found.uniformity != again.uniformity
    assert found.uniformity == pytest.approx(again.uniformity, rel=0.02)
    np.testing.assert_allclose(
        found.per_dimension_std, h.std(axis=0), rtol=1e-5
    )


def test_wrong_arguments_are_named():
    h = np.ones([4, 3])
    for arguments, text in (
        ((h[:1],), "two rows"),
        ((h, h[:2]), "second_views"),
        ((h[0],), "features"),
        ((h * np.nan,), "finite"),
    ):
        with pytest.raises(ValueError, match=text):
            evaluation.representation_quality(*arguments)
