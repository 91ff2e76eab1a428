"""Losses in tiles on several replicas against one whole matrix on one."""

import pathlib

import forked
import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("tiles.py")


@pytest.mark.parametrize("count", [2])
def test_tiles_on_replicas(tmp_path, count):
    """Losses, gradients through the gather and metrics, in float64.

    NT-Xent and the supervised loss. Of 21 images a replica, so that no tile of
    16 views is filled.
    """
    output = tmp_path / "out.npz"
    process = forked.Process(SCRIPT, [count, output], tmp_path / "log")
    assert process.wait() == 0, process.text()[-3000:]
    results = np.load(output)
    names = {name.partition("_")[2] for name in results}
    assert {"loss", "gradient", "contrastive_entropy"} < names
    for name in names:
        expected = results[f"one_{name}"]
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(
            results[f"many_{name}"],
            expected,
            rtol=1e-12,
            atol=1e-12 * np.abs(expected).max(),
            err_msg=name,
        )
