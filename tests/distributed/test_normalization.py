"""Batch norm over replicas is batch norm over their joined rows."""

import pathlib

import forked
import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("normalization.py")
PARTS = ("y", "dx", "dgamma", "dbeta", "moving mean", "moving variance")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("norm") / "out.npz"
    process = forked.Process(SCRIPT, [path], path.with_name("log"))
    assert process.wait() == 0, process.text()[-3000:]
    return np.load(path)


def _errors(results, name):
    """(of two replicas, of one) relative to the largest exact value."""
    exact, two, one = results[name]
    scale = np.abs(exact).max()
    return np.abs(two - exact).max() / scale, np.abs(one - exact).max() / scale


@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("mean", [2, 1000])
@pytest.mark.parametrize("part", range(6), ids=PARTS)
def test_float64_is_exact(results, rank, mean, part):
    """To rounding: where the mean is 300 deviations, 300 roundings of 1e-16."""
    two, _ = _errors(results, f"{rank}-{mean}-float64-{part}")
    assert two < 1e-12


@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("mean", [2, 1000])
@pytest.mark.parametrize("part", range(6), ids=PARTS)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_fused_kernels_lose_no_more_than_on_one_replica(
    results, rank, mean, part, dtype
):
    """Twice the error of the one kernel, and a few roundings."""
    two, one = _errors(results, f"{rank}-{mean}-{dtype}-{part}")
    rounding = {"float32": 2.0**-24, "mixed_bfloat16": 2.0**-8}[dtype]
    # What is summed over rows or kept in float32 is not rounded to 8 bits.
    assert two <= 2 * one + 8 * rounding * mean / 2


@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("mean", [2, 1000])
def test_frozen_layers_are_alone(results, rank, mean):
    one, two = results[f"{rank}-{mean}-frozen"]
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)
