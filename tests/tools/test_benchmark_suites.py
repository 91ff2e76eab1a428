"""tools/benchmark: every suite keeps the convention; small runs of three."""

import argparse
import pathlib
import sys

import numpy as np
import PIL.Image
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import SUITES
from benchmarks import __main__ as command
from benchmarks import input as input_suite
from benchmarks import startup
from benchmarks import views

pytestmark = pytest.mark.newest


def _options(suite, *arguments):
    parser = argparse.ArgumentParser()
    suite.define_flags(parser)
    return parser.parse_args(arguments)


def _rows(report):
    """Cells of each row of all tables, their headers among them."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in report.splitlines()
        if line.startswith("|")
    ]


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_keeps_the_convention(name):
    """What `all` counts on: flags with defaults, `run` and `report`."""
    suite, options = command._parse([f"--suite={name}"])
    assert options.suite == name
    assert callable(suite.run) and callable(suite.report)


@pytest.mark.long
def test_views():
    arguments = ["--size=32", "--batch=3", "--steps=1", "--repeats=1"]
    results = views.run(_options(views, *arguments))
    (size,) = results["sizes"]
    assert all(t["clock"][0] > 0 for t in size["measured"].values())
    names = ["ours, compiled", "ours, not compiled", "tf.data"]
    assert list(size["measured"])[:3] == names
    report = views.report(results)
    assert len(_rows(report)) == 2 + len(size["measured"])
    for peer in results["left_out"]:
        assert f"{peer} was left out: not installed" in report


@pytest.mark.long
def test_input(monkeypatch, tmp_path):
    """Small crops: those of 224 pixels take seconds to compile."""
    for number in range(3):
        pixels = np.full((40 + number, 50, 3), 60 * number, np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / f"{number}.jpg")
    monkeypatch.setitem(input_suite._PARTS, "photographs", 24)
    monkeypatch.setattr(input_suite, "_ARRAY_IMAGES", 8)
    results = input_suite.run(
        _options(
            input_suite,
            f"--photos={tmp_path}",
            "--batch=2",
            "--steps=1",
            "--repeats=1",
        )
    )
    assert [part["part"] for part in results["parts"]] == [
        "photographs",
        "arrays",
    ]
    for part in results["parts"]:
        assert set(part["measured"]) == {"ours", "ours, views", "tf.data"}
        assert all(t["clock"][0] > 0 for t in part["measured"].values())
    assert len(_rows(input_suite.report(results))) == 2 * (2 + 3)


@pytest.mark.long
def test_startup():
    """A training takes longer than Python, and its second step than one."""
    arguments = ["--part=nothing", "--part=training", "--repeats=1"]
    results = startup.run(_options(startup, *arguments))
    seconds = {name: value for name, (value,) in results["seconds"].items()}
    assert 0 < seconds["nothing"] < seconds["first"] < seconds["second"]
    assert len(_rows(startup.report(results))) == 2 + 3
