"""tools/benchmark --suite=memory: its smallest run."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import __main__ as command

pytestmark = pytest.mark.newest
TOOLS = pathlib.Path(__file__).parents[2] / "tools"
SMALLEST = ("--suite=memory", "--encoder=smallest", "--micro=8")
GIB = 2**30


def test_batches_that_do_not_divide():
    with pytest.raises(SystemExit, match="by --micro, 8. Received: 20"):
        command.main([*SMALLEST, "--batch=20"])


@pytest.mark.long
def test_smallest_run(tmp_path):
    """Not from this process: a peak begins with that of the one before."""
    output = tmp_path / "memory.json"
    arguments = ["--batch=16", "--timed_batch=16", "--repeats=1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *SMALLEST, *arguments]
        + [f"--output={output}"],
        env={**os.environ, "PYTHONPATH": str(TOOLS)},
        capture_output=True,
        text=True,
        timeout=300,
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
