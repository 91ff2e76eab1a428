"""tools/benchmark: its figures from made-up times, its estimate by hand."""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import SUITES
from benchmarks import Failure
from benchmarks import scaling
from benchmarks.scaling import estimate
from benchmarks.scaling import figures
from benchmarks.scaling import pairs
from benchmarks.spread import Spread
from benchmarks.spread import ratio

TOOLS = pathlib.Path(__file__).parents[2] / "tools"
LINUX = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores to bind processes to",
)
LINK = estimate.Link("made up", bytes_per_second=1e9, latency_seconds=1e-5)
# Seconds per step of three repeats, made up.
MEASURED = {
    "clock": {
        "one": [1.0, 1.1, 1.0],
        "independent": [1.25, 1.1, 1.2],
        "joined": [2.0, 2.2, 1.6],
        "local_bn": [1.0, 2.0, 1.6],
    },
    "core": {
        "one": [1.0, 1.1, 0.99],
        "independent": [1.25, 1.089, 1.2],
        "joined": [1.0, 1.1, 0.8],
        "local_bn": [0.9, 1.8, 1.44],
    },
    "exchange": {
        "z": {"collectives": 2, "bytes": 4096, "seconds": [0.01, 0.02, 0.03]},
        "batch norm": {
            "collectives": 18,
            "bytes": 10_000,
            "seconds": [0.2, 0.1, 0.15],
        },
        "gradients": {
            "collectives": 1,
            "bytes": 1_400_000,
            "seconds": [0.3, 0.25, 0.2],
        },
        "logged metrics": {
            "collectives": 17,
            "bytes": 64,
            "seconds": [0.05, 0.05, 0.05],
        },
    },
}
CURVE = [
    {"bytes": 1024, "seconds": [0.002, 0.001, 0.003]},
    {"bytes": 2**26, "seconds": [0.25, 0.25, 0.5]},
]
# Of torchvision's ResNet-50: 4.09 G products, of which 2,048,000 in its
# classifier; SimCLR's head has 2048 x 2048 and 2048 x 128 instead.
RESNET50_PRODUCTS = 4.089e9 - 2.048e6 + 2048 * 2176


def _results():
    network = {
        "name": "tiny",
        "batch": 128,
        "steps": 10,
        "repeats": 3,
        "parameters": 340_000,
        **MEASURED,
        "figures": figures.summary(MEASURED),
    }
    counts = estimate.Counts(28_000_000, 55, 28_736, 128, 8e9)
    return {
        "networks": [network],
        "all_reduce": CURVE,
        "resnet50": vars(counts),
    }


def _table(markdown, header):
    """Rows of the table whose header begins so, as lists of cells."""
    lines = iter(markdown.splitlines())
    cells = []
    for line in lines:
        if line.startswith(f"| {header} "):
            next(lines)
            break
    for line in lines:
        if not line.startswith("|"):
            break
        cells.append([cell.strip() for cell in line.strip("|").split("|")])
    return cells


def test_estimate_by_hand():
    """On 4 devices a byte is sent 2 x 3/4 times, in 6 messages of 10 us.

    Gradients: 1.5 x 100 MB at 1 GB/s = 150 ms and 0.06 ms. z: twice 2 MB, so
    6 ms and 0.12 ms. Batch norm: 1.5 x 1 MB = 1.5 ms and 100 x 0.06 = 6 ms.
    """
    step = estimate.step_time(
        0.1,
        4,
        LINK,
        gradient_bytes=100e6,
        z_bytes=2e6,
        norm_bytes=1e6,
        norm_collectives=100,
    )
    assert step.parts == pytest.approx(
        {
            "compute": 0.1,
            "gradients": 0.15006,
            "z": 0.00612,
            "batch norm": 0.0075,
        }
    )
    assert step.seconds == pytest.approx(0.26368)
    assert step.efficiency == pytest.approx(0.1 / 0.26368)
    assert step.binds == "gradients"


def test_estimate_of_a_tree_and_of_software():
    """A tree of 8 is 3 up and 3 down: 6 messages; a ring of 8 has 14."""
    link = estimate.Link("made up", 1e9, 1e-5, collective_seconds=1e-3)
    arguments = {"size": 0, "devices": 8, "link": link, "collectives": 10}
    ring = estimate.all_reduce_seconds(**arguments)
    tree = estimate.all_reduce_seconds(
        **arguments, messages=estimate.tree_messages
    )
    assert ring == pytest.approx(10 * (1e-3 + 14e-5))
    assert tree == pytest.approx(10 * (1e-3 + 6e-5))


def test_estimate_of_many_devices():
    """ResNet-50's numbers put in by hand, 8 devices at 50 TFLOP/s.

    4096 / 8 = 512 images, 2 views, 3 x 8 GFLOP: 24.576 TFLOP. Moments of 1000
    channels are 8 kB; 8 devices' side by side and once more the sums: 72 kB.
    """
    counts = estimate.Counts(
        parameters=25_000_000,
        norm_layers=10,
        norm_channels=1000,
        z_dim=128,
        forward_flops=8e9,
    )
    link = estimate.Link("made up", 1e9, 0.0)
    parts = estimate.of_many_devices(counts, 8, link).parts
    assert parts == pytest.approx(
        {
            "compute": 24.576e12 / 50e12,
            "gradients": 1.75 * 0.1,
            "z": 1.75 * 2 * (2 * 4096 * 128 * 4) / 1e9,
            "batch norm": 1.75 * 72e-6,
        }
    )


def test_counts_of_resnet50():
    """Against torchvision's published count, and the layers by arithmetic.

    Batch norms: 1 in the stem, 3 in each of 16 blocks, 4 shortcuts, 2 in the
    head. Parameters: 25,557,032 with a classifier of 2,049,000.
    """
    counts = estimate.count_resnet50()
    assert counts.norm_layers == 1 + 3 * 16 + 4 + 2
    head = 2048 * 2048 + 2 * 2048 + 2048 * 128 + 128
    assert counts.parameters == 25_557_032 - 2_049_000 + head
    assert counts.z_dim == 128
    assert counts.forward_flops == pytest.approx(
        2 * RESNET50_PRODUCTS, rel=2e-3
    )


def test_spread_and_ratios():
    assert Spread.of([3, 1, 2]) == Spread(2, 1, 3)
    assert Spread(0.0021, 0.002, 0.003).text(1, 1e3) == "2.1 (2.0-3.0)"
    # Repeat by repeat: 1/2, 2/1, 3/3. Medians' quotient would be 1 as well,
    # that of the extremes would not be these.
    assert ratio([1, 2, 3], [2, 1, 3]) == Spread(1.0, 0.5, 2.0)


def test_figures_from_made_up_times():
    """The quotients of `MEASURED`, taken by hand."""
    figure = figures.summary(MEASURED)
    ratios = {
        ("against_one", "independent"): (1 / 1.2, 0.8, 1.0),
        ("against_one", "joined"): (0.5, 0.5, 0.625),
        ("against_one", "local_bn"): (0.625, 0.55, 1.0),
        ("against_independent", "joined"): (0.625, 0.5, 0.75),
        ("against_independent", "local_bn"): (0.75, 0.55, 1.25),
    }
    for (against, kind), values in ratios.items():
        spread = figure[against][kind]
        assert dataclasses.astuple(spread) == pytest.approx(values)
    assert figure["step_seconds"]["joined"] == Spread(2.0, 1.6, 2.2)
    assert figure["exchange_seconds"]["z"] == Spread(0.02, 0.01, 0.03)
    assert figure["core_seconds"]["joined"] == Spread(1.0, 0.8, 1.1)
    assert figure["quiet"]


def test_link_from_made_up_times():
    link = figures.link(CURVE)
    assert link["collective_seconds"] == 0.002
    assert link["bytes_per_second"] == 2**28


def test_report():
    report = scaling.report(_results())
    steps = {row[0]: row[1:] for row in _table(report, "step")}
    assert steps["two workers of one training"] == [
        "2000.0 (1600.0-2200.0)",
        "1000.0 (800.0-1100.0)",
        "0.500 (0.500-0.625)",
        "0.625 (0.500-0.750)",
    ]
    parts = {row[0]: row[1:] for row in _table(report, "part")}
    assert parts["gradients"] == [
        "1",
        "1,400.0",
        "250.00 (200.00-300.00)",
        "12.5 %",
    ]
    assert parts["sum of these"][:2] == ["38", "1,414.2"]
    # Repeat by repeat 0.75, 1.1 and 0.4 s.
    assert parts["joined minus independent"][2] == "750.00 (400.00-1100.00)"
    curve = _table(report, "KiB")
    assert curve[0] == ["1", "2.000 (1.000-3.000)", "1"]
    assert "2.00 ms a collective" in report
    assert len(_table(report, "link")) == 12
    assert "not measured" in report
    assert "Noisy" not in report


def test_noise_is_reported():
    """A process that computes alone for 9 of 10 ms was not alone."""
    core = {**MEASURED["core"], "one": [0.9, 0.99, 0.9]}
    results = _results()
    results["networks"][0]["figures"] = figures.summary(
        {**MEASURED, "core": core}
    )
    assert "Noisy" in scaling.report(results)


def test_flags_of_the_suite():
    parser = argparse.ArgumentParser()
    scaling.define_flags(parser)
    options = parser.parse_args(["--encoder=tiny", "--encoder=resnet18"])
    assert options.encoder == ["tiny", "resnet18"]
    assert options.repeats == 5
    with pytest.raises(SystemExit):
        parser.parse_args(["--batch=0"])


def test_two_cores_are_needed(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    with pytest.raises(Failure, match="needs two cores. Received: .*0"):
        pairs.two_cores()


def _benchmark(*arguments, timeout=60):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        env={**os.environ, "PYTHONPATH": str(TOOLS)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.mark.parametrize("suite", [["--suite=unknown"], []])
def test_unknown_suite(suite):
    run = _benchmark(*suite)
    assert run.returncode == 2
    names = ", ".join(SUITES)
    assert f"--suite must be one of: {names}, all. Received:" in run.stderr


def test_output_that_cannot_be_written(tmp_path):
    output = tmp_path / "missing" / "file.json"
    run = _benchmark("--suite=scaling", f"--output={output}")
    assert run.returncode == 2
    assert "in a folder that exists" in run.stderr


@pytest.mark.newest
@pytest.mark.long
@LINUX
def test_smallest_run(tmp_path):
    output = tmp_path / "scaling.json"
    run = _benchmark(
        "--suite=scaling",
        "--encoder=smallest",
        "--repeats=1",
        f"--output={output}",
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("- CPU: ")
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
