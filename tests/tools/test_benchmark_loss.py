"""tools/benchmark --suite=loss: its smallest run."""

import json
import math
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import __main__ as command

pytestmark = pytest.mark.newest
TOOLS = pathlib.Path(__file__).parents[2] / "tools"


@pytest.mark.long
def test_smallest_run(tmp_path, capsys, monkeypatch):
    path = [str(TOOLS), os.environ.get("PYTHONPATH")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    output = tmp_path / "loss.json"
    arguments = ["--suite=loss", "--images=256", "--repeats=2"]
    kinds = ["--kind=whole", "--kind=tiles"]
    assert command.main([*arguments, *kinds, f"--output={output}"]) == 0
    assert "## N = 256, repeats: 2" in capsys.readouterr().out
    (batch,) = json.loads(output.read_text())["results"]["batches"]
    assert set(batch["seconds"]) == {"whole", "tiles"}
    for seconds in batch["seconds"].values():
        for values in seconds.values():
            assert len(values) == 2
            assert all(math.isfinite(x) and x > 0 for x in values)
    # One [256, 512] float32 matrix of each view, at the least.
    assert batch["peak_bytes"]["whole"] > 2 * 4 * 256 * 512
