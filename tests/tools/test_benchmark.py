"""tools/benchmark: its command, and the smallest run of the suite scaling."""

import json
import math
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import SUITES
from benchmarks import Failure
from benchmarks import __main__ as command
from benchmarks.scaling import pairs

pytestmark = pytest.mark.newest
LINUX = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores to bind processes to",
)


def test_two_cores_are_needed(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    with pytest.raises(Failure, match="needs two cores. Received: .*0"):
        pairs.two_cores()


def _refused(arguments, capsys):
    """What the command says where it ends with 2, before it measures."""
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("suite", [["--suite=unknown"], []])
def test_unknown_suite(suite, capsys):
    names = ", ".join(SUITES)
    said = f"--suite must be one of: {names}, all. Received:"
    assert said in _refused(suite, capsys)


def test_output_that_cannot_be_written(tmp_path, capsys):
    output = tmp_path / "missing" / "file.json"
    error = _refused(["--suite=scaling", f"--output={output}"], capsys)
    assert "in a folder that exists" in error


@pytest.mark.long
@LINUX
def test_smallest_run(tmp_path, capsys):
    output = tmp_path / "scaling.json"
    arguments = ["--suite=scaling", "--encoder=smallest", "--repeats=1"]
    assert command.main([*arguments, f"--output={output}"]) == 0
    assert capsys.readouterr().out.startswith("- CPU: ")
    results = json.loads(output.read_text())["results"]
    (network,) = results["networks"]
    kinds = {"one", "independent", "joined", "local_bn"}
    assert set(network["clock"]) == kinds
    numbers = [*_numbers(network["figures"]), *_numbers(results["all_reduce"])]
    assert all(math.isfinite(n) and n > 0 for n in numbers)
    # Batch norms: the stem's, two of each of two blocks, one of a shortcut
    # (blocks of 4 and 8 channels), two of the head (256 and 128 channels).
    channels = 3 * 4 + 3 * 8 + 256 + 128
    assert _traffic(network, "batch norm") == (
        2 * 8,
        (2 + 1) * 2 * 4 * channels,
    )
    # Two replicas, eight images each, two views, 128 floats; to and fro.
    assert _traffic(network, "z") == (2, 2 * (2 * 8 * 2 * 128 * 4))
    assert _traffic(network, "gradients") == (1, 4 * network["parameters"])


def _traffic(network, part):
    facts = network["exchange"][part]
    return facts["collectives"], facts["bytes"]


def _numbers(value):
    """All numbers within lists and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each)]
    return [] if isinstance(value, bool) else [value]
