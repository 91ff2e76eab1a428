"""tools/benchmark --suite=memory: its report by hand, and its smallest run."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import memory

TOOLS = pathlib.Path(__file__).parents[2] / "tools"
GIB = 2**30


def test_report_from_made_up_numbers():
    peaks = [
        {"batch": batch, "built_bytes": GIB, "image_bytes": 0, "peak_bytes": b}
        for batch, b in ((256, 3.5 * GIB), (4096, 3.75 * GIB))
    ]
    times = {
        "batches": {"plain": 256, "cached": 4096},
        "plain": {"clock": [0.01, 0.02], "core": [0.02, 0.04]},
        "cached": {"clock": [0.015, 0.024], "core": [0.026, 0.052]},
    }
    results = {
        "encoder": "resnet18",
        "precision": "float32",
        "micro": 256,
        "steps": 1,
        "peaks": peaks,
        "times": times,
    }
    text = memory.report(results)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert rows[3][:4] == ["4,096", "micro-batches of 256", "3.75", "1.00"]
    # Repeat by repeat: 1.5 and 1.2; 1.3 both times.
    assert rows[-1][1:] == ["1.350 (1.200-1.500)", "1.300 (1.300-1.300)"]


def _benchmark(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--suite=memory", *arguments],
        env={**os.environ, "PYTHONPATH": str(TOOLS)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_batches_that_do_not_divide():
    done = _benchmark("--encoder=smallest", "--batch=20", "--micro=8")
    assert done.returncode == 1
    assert "must divide by --micro, 8. Received: 20" in done.stderr


@pytest.mark.newest
def test_smallest_run(tmp_path):
    output = tmp_path / "memory.json"
    done = _benchmark(
        "--encoder=smallest",
        "--batch=16",
        "--timed_batch=16",
        "--micro=8",
        "--repeats=1",
        f"--output={output}",
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())["results"]
    assert [peak["batch"] for peak in results["peaks"]] == [8, 16]
    for peak in results["peaks"]:
        assert peak["peak_bytes"] > peak["built_bytes"] > GIB / 10
        assert peak["image_bytes"] == peak["batch"] * 32 * 32 * 3
    for kind in ("plain", "cached"):
        assert all(
            t > 0 for unit in results["times"][kind].values() for t in unit
        )
