"""tools/benchmark: what all suites share, and the smaller ones, tried out."""

import argparse
import json
import pathlib
import sys
import types

import numpy as np
import PIL.Image
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import SUITES
from benchmarks import Failure
from benchmarks import __main__ as command
from benchmarks import everything
from benchmarks import input as input_suite
from benchmarks import measure
from benchmarks import startup
from benchmarks import views
from benchmarks.spread import Spread
from benchmarks.streams import Stream


def _options(suite, *arguments):
    parser = argparse.ArgumentParser()
    suite.define_flags(parser)
    return parser.parse_args(arguments)


def _rows(report):
    """First cell of each row of all tables -> its others."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in report.splitlines()
        if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in rows}


def test_alternates_and_turns(monkeypatch):
    """By a clock that a run puts forward; two units of work in each."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        measure,
        "time",
        types.SimpleNamespace(
            perf_counter=lambda: clock.now, process_time=lambda: clock.now / 2
        ),
    )
    monkeypatch.setattr(measure, "_cores", lambda: 2)
    order = []

    def subject(name, seconds):
        def run(timer):
            clock.now += 100.0  # what is prepared does not count
            order.append(name)
            timer.start()
            clock.now += seconds
            timer.stop()
            return 2

        return run

    subjects = {"a": subject("a", 2.0), "b": subject("b", 6.0)}
    measured = measure.alternate(subjects, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert measured["a"] == {
        "clock": [1.0] * 3,
        "core": [0.5] * 3,
        "busy": [0.25] * 3,
    }
    assert measure.rates(measured, "b") == Spread(1 / 3, 1 / 3, 1 / 3)


def test_stream_warms_up_and_ends():
    """One more than half of the batches before the clock starts."""
    drawn, log = [], []

    def start():
        try:
            while True:
                drawn.append(len(drawn))
                yield drawn[-1]
        finally:
            log.append("ended")

    stream = Stream(start, batch=5, steps=4)
    assert len(drawn) == 3 + 4
    timer = types.SimpleNamespace(
        start=lambda: log.append(len(drawn)),
        stop=lambda: log.append(len(drawn)),
    )
    assert stream.run(timer) == 20
    assert log == ["ended", 7 + 3, 7 + 3 + 4, "ended"]


def test_all_survives_a_suite_that_fails(capsys):
    def start(name, output):
        if name == "broken":
            return -9
        output.write_text(json.dumps({"suite": name}))
        return 0

    results = everything.run(["first", "broken", "last"], start)
    assert results == {
        "suites": {"first": {"suite": "first"}, "last": {"suite": "last"}},
        "failed": {"broken": -9},
    }
    printed = capsys.readouterr().out
    assert "The suite broken failed, exit code -9" in printed
    assert printed.index("# broken") < printed.index("# last")


@pytest.mark.parametrize("failed", [{}, {"views": 1}])
def test_exit_code_and_output_of_all(failed, monkeypatch, tmp_path):
    ran = []

    def run(suites):
        ran.extend(suites)
        return {"suites": {}, "failed": failed}

    monkeypatch.setattr(everything, "run", run)
    output = tmp_path / "all.json"
    code = command.main(["--suite=all", f"--output={output}"])
    assert code == (1 if failed else 0)
    assert tuple(ran) == SUITES
    assert json.loads(output.read_text())["failed"] == failed


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_keeps_the_convention(name):
    """What `all` counts on: flags with defaults, `run` and `report`."""
    suite, options = command._parse([f"--suite={name}"])
    assert options.suite == name
    assert callable(suite.run) and callable(suite.report)


@pytest.mark.newest
def test_views():
    arguments = ["--size=32", "--batch=3", "--steps=1", "--repeats=1"]
    results = views.run(_options(views, *arguments))
    (size,) = results["sizes"]
    assert all(t["clock"][0] > 0 for t in size["measured"].values())
    names = ["ours, compiled", "ours, not compiled", "tf.data"]
    assert list(size["measured"])[:3] == names
    report = views.report(results)
    rows = _rows(report)
    assert rows["tf.image in tf.data, image by image"][1] == "1.00 (1.00-1.00)"
    for peer in results["left_out"]:
        assert f"{peer} was left out: not installed" in report


def test_views_by_hand():
    """Seconds per image: 0.1 and 0.4, 0.2 and 0.2."""
    measured = {
        "ours, compiled": {"clock": [0.1, 0.2]},
        "tf.data": {"clock": [0.4, 0.2]},
    }
    size = {
        "size": 224,
        "ready": True,
        "batch": 8,
        "steps": 2,
        "measured": measured,
    }
    results = {
        "repeats": 2,
        "left_out": {"Lightly": ["torch"]},
        "versions": {"keras-cv": "0.9.0"},
        "sizes": [size],
    }
    report = views.report(results)
    row = _rows(report)["ours, batched, compiled by XLA"]
    assert row == ["8 (5-10)", "2.50 (1.00-4.00)"]
    assert "Versions: keras-cv 0.9.0." in report
    assert "Lightly was left out: not installed: torch." in report


@pytest.mark.newest
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
    assert len(_rows(input_suite.report(results))) == 5


def test_input_without_photographs():
    arguments = ["--photos=nowhere", "--part=photographs"]
    results = input_suite.run(_options(input_suite, *arguments))
    assert input_suite.report(results) == (
        "The part photographs was left out: --photos=nowhere is no folder."
    )


@pytest.mark.newest
@pytest.mark.long
def test_startup():
    """A training takes longer than Python, and its second step than one."""
    arguments = ["--part=nothing", "--part=training", "--repeats=1"]
    results = startup.run(_options(startup, *arguments))
    seconds = {name: value for name, (value,) in results["seconds"].items()}
    assert 0 < seconds["nothing"] < seconds["first"] < seconds["second"]
    assert len(_rows(startup.report(results))) == 2 + 3


def test_startup_tells_what_failed(monkeypatch):
    monkeypatch.setitem(startup._PROCESSES, "nothing", ["-c", "1 / 0"])
    with pytest.raises(Failure, match="(?s)1 / 0 failed.*ZeroDivisionError"):
        startup.run(_options(startup, "--part=nothing", "--repeats=1"))
