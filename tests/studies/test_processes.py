"""Chains of commands: order, failures, GPUs, and how they end."""

import os
import subprocess
import sys
import time

import pytest

from simclr_keras.studies import cells
from simclr_keras.studies import processes
from simclr_keras.studies.failures import Failure
from simclr_keras.studies.failures import Failures
from simclr_keras.training import finite
from simclr_keras.training import lock

pytestmark = pytest.mark.newest
FINISH = "open(directory / 'results.json', 'w').write('{}')"


def _cell(folder, *scripts):
    """A cell of Python scripts, each of which knows its `directory`."""
    runs = [
        cells.Run(None, script, folder / f"run_{number}", {})
        for number, script in enumerate(scripts)
    ]
    return cells.Cell({"cell": folder.name}, 0, runs)


@pytest.fixture(autouse=True)
def _scripts_for_commands(monkeypatch):
    def command_line(run):
        start = (
            "import os, pathlib, sys, time;"
            f" directory = pathlib.Path({str(run.directory)!r});"
            " directory.mkdir(exist_ok=True)\n"
        )
        return [sys.executable, "-c", start + run.command]

    monkeypatch.setattr(processes, "_command_line", command_line)
    monkeypatch.setattr(processes, "visible_gpus", list)


def _run(chosen, jobs=1):
    ended = []
    failures = Failures(chosen[0].runs[0].directory.parents[1])
    processes.run_cells(
        chosen,
        jobs,
        failures,
        lambda cell: ended.append((cell, failures.of(cell))),
    )
    return ended


def test_commands_of_a_cell_follow_each_other(tmp_path):
    second = (
        f"assert (directory.parent / 'run_0/results.json').exists();{FINISH}"
    )
    cell = _cell(tmp_path / "a", FINISH, second)
    assert _run([cell]) == [(cell, [])]
    assert (tmp_path / "a/run_1/results.json").exists()


def test_what_has_ended_is_not_run_again(tmp_path):
    cell = _cell(tmp_path / "a", FINISH, FINISH)
    _run([cell])
    again = _cell(tmp_path / "a", "sys.exit(1)", "sys.exit(1)")
    assert _run([again]) == [(again, [])]


def test_a_failed_command_is_named_and_other_cells_go_on(tmp_path):
    bad = _cell(tmp_path / "a", "print('x'); print('why'); sys.exit(3)", FINISH)
    good = _cell(tmp_path / "b", FINISH)
    (first, failures), second = _run([bad, good])
    assert first is bad and second == (good, [])
    assert failures == [Failure(bad.runs[0], 3, "why")]
    assert not bad.runs[1].directory.exists()


def test_after_a_failed_evaluation_the_others_run(tmp_path):
    """They build on the pre-training alone; each failure is named."""
    cell = _cell(tmp_path / "a", FINISH, "sys.exit(3)", FINISH, "sys.exit(4)")
    runs = [
        run._replace(measure=None if number == 0 else f"measure {number}")
        for number, run in enumerate(cell.runs)
    ]
    cell = cell._replace(runs=runs)
    failures = [
        Failure(runs[1], 3, ""),
        Failure(runs[3], 4, ""),
    ]
    assert _run([cell]) == [(cell, failures)]
    ended = [(run.directory / "results.json").exists() for run in runs]
    assert ended == [True, False, True, False]


def _measures(cell, names):
    """The cell, its runs behind the first being of these measures."""
    runs = [r._replace(measure=n) for r, n in zip(cell.runs, [None, *names])]
    return cell._replace(runs=runs)


def test_a_rate_that_diverged_is_not_begun_again(tmp_path):
    """One that was killed is, whatever an earlier one had printed."""
    ended = f"print('Error: the loss is nan. {finite.ADVICE}'); "
    diverges, killed = f"{ended}sys.exit(1)", f"{ended}sys.exit(75)"
    cell = _cell(tmp_path / "a", FINISH, diverges, killed, FINISH, diverges)
    cell = _measures(cell, ["rates", "rates", "rates", "alone"])
    ((_, failures),) = _run([cell])
    assert [(f.run, f.code, f.diverged) for f in failures] == [
        (cell.runs[2], 75, False),
        (cell.runs[4], 1, True),
    ]
    ((_, failures),) = _run([cell])
    logs = [r.log.read_text().splitlines() for r in cell.runs]
    assert [len(lines) for lines in logs] == [0, 1, 2, 0, 2]


def test_other_rates_go_before_one_that_diverged(tmp_path):
    """In a study that was killed after it; with them it is passed over."""
    cell = _cell(tmp_path / "a", FINISH, "sys.exit(3)", FINISH)
    cell = _measures(cell, ["rates", "rates"])
    failure = Failure(cell.runs[1], 1, "why", diverged=True)
    (tmp_path / "a").mkdir()
    Failures(tmp_path).add(failure)
    assert _run([cell]) == [(cell, [])]
    assert not cell.runs[1].log.exists()


def test_several_run_at_a_time_with_a_gpu_each(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "visible_gpus", lambda: ["4", "7"])
    # Each waits for the other: only together do they end.
    script = (
        "end = time.monotonic() + 60\n"
        "while len(list(directory.parents[1].glob('*/run_0'))) < 2:\n"
        "    assert time.monotonic() < end; time.sleep(0.01)\n"
        "print(os.environ['CUDA_VISIBLE_DEVICES'])\n" + FINISH
    )
    chosen = [_cell(tmp_path / name, script) for name in "ab"]
    assert [failures for _, failures in _run(chosen, jobs=2)] == [[], []]
    logs = [cell.runs[0].log.read_text() for cell in chosen]
    assert logs == ["4\n", "7\n"]


def test_gpus_that_are_visible(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert processes.visible_gpus() == ["2", "3"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", "")
    assert processes.visible_gpus() == []


def test_a_command_is_one_of_the_package(tmp_path, monkeypatch):
    monkeypatch.undo()
    run = cells.Run(None, "pretrain", tmp_path / "run", {"no_such_flag": "1"})
    assert processes._start(run, dict(os.environ)).wait(60) == 1
    assert "no_such_flag" in run.log.read_text()


def test_an_interruption_ends_the_command(tmp_path):
    """Which has time to save."""
    script = (
        "import signal\n"
        "def save(*_):\n"
        "    (directory / 'saved').write_text(''); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "(directory / 'ready').write_text(''); time.sleep(600)"
    )
    cell = _cell(tmp_path / "a", script)
    ready = cell.runs[0].directory / "ready"

    def interrupt(seconds):
        if ready.exists():
            patch.undo()  # once: waiting for the command sleeps too
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _run([cell])
    assert (cell.runs[0].directory / "saved").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells the commands")
def test_a_killed_study_leaves_no_command_behind(tmp_path):
    parent = (
        "import os, pathlib, sys, time\n"
        "from simclr_keras.studies import cells, processes\n"
        f"directory = pathlib.Path({str(tmp_path / 'run')!r})\n"
        "run = cells.Run(None, '', directory, {})\n"
        "processes._command_line = lambda run: [sys.executable, '-c',"
        " 'import time; time.sleep(600)']\n"
        "child = processes._start(run, dict(os.environ))\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True
    )
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while _runs(child):
        assert time.monotonic() < end
        time.sleep(0.01)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().split()[2] != "Z"  # ended, and nobody has asked


def test_a_run_of_a_killed_study_may_end_first(tmp_path):
    """Its directory is locked until then."""
    left = tmp_path / "left"
    script = f"assert pathlib.Path({str(left)!r}).exists();{FINISH}"
    cell = _cell(tmp_path / "a", script)
    directory = cell.runs[0].directory
    directory.mkdir(parents=True)
    holder = (
        "import sys, time; from simclr_keras.training import lock\n"
        f"with lock.RunLock({str(directory)!r}).held():\n"
        "    print('held', flush=True); time.sleep(2)\n"
        f"    open({str(left)!r}, 'w').close()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    assert _run([cell]) == [(cell, [])]
    assert process.wait(60) == 0


def test_each_run_has_a_wait_of_its_own(tmp_path, monkeypatch):
    """Also after one whose directory stayed in use."""
    cell = _cell(tmp_path / "a", FINISH, FINISH)
    for run in cell.runs:
        run.directory.mkdir(parents=True)

    def acquire(_):
        raise ValueError("in use")

    times, start = [], processes._start
    monkeypatch.setattr(lock.RunLock, "acquire", acquire)
    monkeypatch.setattr(processes, "_ENDING_SECONDS", 0.5)
    monkeypatch.setattr(
        processes,
        "_start",
        lambda *each: times.append(time.monotonic()) or start(*each),
    )
    begun = time.monotonic()
    assert _run([cell]) == [(cell, [])]
    assert times[0] - begun >= 0.5 and times[1] - times[0] >= 0.5
