"""tools/benchmark --suite=loss: its table from made-up numbers, a small run."""

import json
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import loss
from benchmarks.loss import losses

TOOLS = pathlib.Path(__file__).parents[2] / "tools"


def test_report():
    """Repeat by repeat 2 / 1 and 4 / 1; 320 MiB against 40."""
    results = {
        "batches": [
            {
                "images": 8192,
                "repeats": 2,
                "chosen": "tiles",
                "seconds": {
                    "whole": {"clock": [2.0, 4.0], "core": [3.0, 3.0]},
                    "chosen": {"clock": [1.0, 1.0], "core": [2.0, 2.0]},
                },
                "peak_bytes": {"whole": 320 * 2**20, "chosen": 40 * 2**20},
            },
            {
                "images": 65536,
                "repeats": 1,
                "chosen": "tiles",
                "seconds": {"tiles": {"clock": [90.0], "core": [180.0]}},
                "peak_bytes": {"tiles": 2**30},
            },
        ]
    }
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in loss.report(results).splitlines()
        if line.startswith("| NTXent")
    ]
    assert rows == [
        [
            "NTXent, matrix as a whole",
            "3000.0 (2000.0-4000.0)",
            "3000.0 (3000.0-3000.0)",
            "1.00 (1.00-1.00)",
            "320",
            "1.0",
        ],
        [
            "NTXent, as it chooses: tiles",
            "1000.0 (1000.0-1000.0)",
            "2000.0 (2000.0-2000.0)",
            "3.00 (2.00-4.00)",
            "40",
            "8.0",
        ],
        [
            "NTXent, in tiles",
            "90000.0 (90000.0-90000.0)",
            "180000.0 (180000.0-180000.0)",
            "-",
            "1,024",
            "-",
        ],
    ]


def test_kinds_compute_what_they_say(monkeypatch):
    """Each of the three of ours by its own way, the same value."""
    found = []
    traced = losses._traced

    def keep(function, views):
        found.append([np.asarray(x) for x in function(*views)])
        return traced(function, views)

    monkeypatch.setattr(losses, "_traced", keep)
    used = []
    for name in ("_dense", "_tiled"):
        _count_calls(monkeypatch, name, used)
    for kind in ("whole", "tiles", "chosen"):
        losses.make(kind, 20)
    assert used[::2] == ["_dense", "_tiled", "_dense"]
    assert losses.chosen(20) == "whole" and losses.chosen(8192) == "tiles"
    for other in found[1:]:
        for one, two in zip(found[0], other):
            # Logits of 10 in float32.
            np.testing.assert_allclose(two, one, atol=1e-5)


def _count_calls(monkeypatch, name, used):
    # The package has a function of the module's name.
    module = sys.modules["simclr_keras.contrastive.nt_xent"]
    function = getattr(module, name)

    def counted(*arguments):
        used.append(name)
        return function(*arguments)

    monkeypatch.setattr(module, name, counted)


@pytest.mark.newest
@pytest.mark.long
def test_smallest_run(tmp_path):
    output = tmp_path / "loss.json"
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks",
            "--suite=loss",
            "--images=256",
            "--kind=whole",
            "--kind=tiles",
            "--repeats=2",
            f"--output={output}",
        ],
        env={**os.environ, "PYTHONPATH": _path()},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "## N = 256, repeats: 2" in run.stdout
    (batch,) = json.loads(output.read_text())["results"]["batches"]
    assert set(batch["seconds"]) == {"whole", "tiles"}
    for seconds in batch["seconds"].values():
        for values in seconds.values():
            assert len(values) == 2
            assert all(math.isfinite(x) and x > 0 for x in values)
    # One [256, 512] float32 matrix of each view, at the least.
    assert batch["peak_bytes"]["whole"] > 2 * 4 * 256 * 512


def _path():
    return os.pathsep.join(
        [str(TOOLS), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
