"""The official implementation's losses and gradients on several replicas."""

import json
import pathlib

import forked
import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("parity.py")


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.long), 4])
def test_nt_xent_over_replicas(parity, tmp_path, count):
    """Loss, gradient through the gather, accuracy, entropy: rel. 1e-5."""
    path, output = parity("ntxent_replicas.npz"), tmp_path / "out.npz"
    process = forked.Process(SCRIPT, [path, count, output], tmp_path / "log")
    assert process.wait() == 0, process.text()[-3000:]
    fixture, result = np.load(path, allow_pickle=False), np.load(output)
    cases = json.loads(str(fixture["cases_json"]))
    names = {case["case"] for case in cases if case["R"] == count}
    assert len(names) >= 2
    for case in names:
        for name in ("loss", "grad", "contrast_acc", "contrast_entropy"):
            expected = fixture[f"{case}_{name}"]
            np.testing.assert_allclose(
                result[f"{case}_{name}"],
                expected,
                rtol=1e-5,
                atol=1e-5 * np.abs(expected).max(),
                err_msg=f"{case} {name}",
            )
