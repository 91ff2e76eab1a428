"""tools/launch_local, with workers that are scripts of a few lines."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.newest
LAUNCHER = pathlib.Path(__file__).parents[2] / "tools" / "launch_local"
LIMIT = 20  # seconds; no test needs more than two
# What the scripts of workers begin with.
PRELUDE = """
import json, os, signal, socket, subprocess, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
"""
# Prints the signals that come until half a second after the first.
COUNTS_SIGNALS = """
got = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: got.append(number))
print("ready")
while not got:
    time.sleep(0.01)
time.sleep(0.5)
print("got", *(signal.Signals(number).name for number in got))
"""


def _python(script):
    """A worker's command; without site-packages it starts at once."""
    return [sys.executable, "-S", "-c", PRELUDE + script]


@pytest.fixture
def start():
    """Starts launchers in process groups of their own; ends them."""
    launchers = []

    def begin(command, *options, **environment):
        launcher = subprocess.Popen(
            [sys.executable, "-S", LAUNCHER, *options, "--", *command],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        launchers.append(launcher)
        return launcher

    yield begin
    for launcher in launchers:
        if launcher.poll() is None:
            launcher.terminate()  # it kills its workers
            launcher.terminate()
        launcher.communicate(timeout=LIMIT)


def _end(launcher):
    """Exit code and the lines of stdout, sorted, and of stderr."""
    out, err = launcher.communicate(timeout=LIMIT)
    return launcher.returncode, sorted(out.splitlines()), err.splitlines()


def _wait_until_ready(launcher, workers):
    for _ in range(workers):
        assert launcher.stdout.readline().endswith("] ready\n")


def test_every_worker_gets_the_cluster_its_index_and_a_free_port(start):
    script = """
address, port = config["cluster"]["worker"][index].split(":")
held = socket.create_server((address, int(port)))
print(json.dumps(config), os.environ["PYTHONUNBUFFERED"])
"""
    launcher = start(_python(script), "--workers=3", TF_CONFIG="of another")
    code, out, err = _end(launcher)
    assert (code, err) == (0, [])
    assert len(out) == 3
    for index, line in enumerate(out):
        prefix, text = line.split("] ", 1)
        config, unbuffered = text.rsplit(" ", 1)
        config = json.loads(config)
        assert (prefix, unbuffered) == (f"[worker {index}", "1")
        assert config["task"] == {"type": "worker", "index": index}
        addresses = config["cluster"]["worker"]
        assert len(set(addresses)) == 3
        assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_every_line_has_its_prefix_and_the_last_may_be_partial(start):
    """Written in pieces: a chunk that ends within a line must not cut it."""
    script = r"""
for piece in ("one\ntw", "o\r\n", "\n3/9\r", "\b\b\b\b4/9\b\b", "\r\xe4nd"):
    os.write(1, piece.encode())
    time.sleep(0.05)
os.write(2, b"err")
"""
    code, out, err = _end(start(_python(script), "--workers=1"))
    lines = ["3/9", "4/9", "one", "two", "\xe4nd"]
    assert out == [f"[worker 0] {line}" for line in lines]
    assert (code, err) == (0, ["[worker 0] err"])


def test_lines_of_different_workers_are_not_mixed(start):
    """Lines of 3 kB, more than a pipe's atomic write can keep together."""
    script = "for i in range(100, 300): print(f'{i} ' + str(index) * 3000)"
    assert _end(start(_python(script)))[1] == [
        f"[worker {worker}] {i} " + str(worker) * 3000
        for worker in range(2)
        for i in range(100, 300)
    ]


@pytest.mark.parametrize(
    "failure, code",
    [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 128 + 9)],
)
def test_one_failure_ends_all_and_gives_its_code(start, failure, code):
    """Worker 0 would end with 5, later; worker 2 must be killed."""
    script = f"""
if index == 1:
    time.sleep(0.2)
    {failure}
signal.signal(signal.SIGTERM, lambda *_: index or sys.exit(5))
while True:
    time.sleep(1)
"""
    options = ("--workers=3", "--grace=0.3", "--kill_after=0.3")
    assert _end(start(_python(script), *options)) == (
        code,
        [],
        [f"launch_local: worker 1 failed first: code {code}"],
    )


def test_after_a_failure_the_others_have_time_to_end_by_themselves(start):
    script = "if index: sys.exit(3)\ntime.sleep(0.3)\nprint('noticed it')"
    code, out, _ = _end(start(_python(script)))
    assert (code, out) == (3, ["[worker 0] noticed it"])


def test_a_worker_that_ends_with_zero_leaves_the_others_alone(start):
    """But what it leaves in the background ends with the last worker."""
    script = """
if index == 0:
    sleeper = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    subprocess.Popen(sleeper)
else:
    time.sleep(0.3)
    print("done")
"""
    assert _end(start(_python(script))) == (0, ["[worker 1] done"], [])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_reaches_every_worker_exactly_once(start, name):
    """Sent to the group as by Ctrl-C, and once more at once as by timeout."""
    launcher = start(_python(COUNTS_SIGNALS + "sys.exit(75)"))
    _wait_until_ready(launcher, 2)
    os.killpg(launcher.pid, signal.Signals[name])
    time.sleep(0.1)
    os.killpg(launcher.pid, signal.Signals[name])
    code, out, err = _end(launcher)
    assert (code, out) == (75, [f"[worker {i}] got {name}" for i in (0, 1)])
    assert err[0].startswith(f"launch_local: {name} handed on")


def test_a_signal_leaves_the_children_of_a_shell_time(start):
    """The shell ends at once, its child works on for half a second."""
    script = PRELUDE + COUNTS_SIGNALS
    shell = ["sh", "-c", '"$0" -S -c "$1" & wait', sys.executable, script]
    launcher = start(shell, "--workers=1", "--grace=1", "--kill_after=0")
    _wait_until_ready(launcher, 1)
    launcher.terminate()
    assert _end(launcher)[:2] == (143, ["[worker 0] got SIGTERM"])


def test_a_second_signal_kills_at_once(start):
    launcher = start(_python(COUNTS_SIGNALS + "time.sleep(60)"))
    _wait_until_ready(launcher, 2)
    launcher.send_signal(signal.SIGINT)
    time.sleep(0.7)
    launcher.send_signal(signal.SIGINT)
    assert _end(launcher)[0] == 128 + signal.SIGKILL


def test_workers_go_on_when_nobody_reads_any_more(start, tmp_path):
    """Ctrl-C ends a `tee` behind the launcher while checkpoints are saved."""
    script = f"""
print("ready")
time.sleep(0.3)
for _ in range(1000):
    print("x" * 1000)
open({str(tmp_path)!r} + f"/{{index}}", "w").close()
"""
    launcher = start(_python(script))
    _wait_until_ready(launcher, 2)
    launcher.stdout.close()
    assert launcher.wait(timeout=LIMIT) == 0
    assert sorted(os.listdir(tmp_path)) == ["0", "1"]


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["--workers=2"], 2, "required: command"),
        (["--workers=0", "--", "true"], 2, "must be > 0. Received: 0"),
        (["--workers=two", "--", "true"], 2, "invalid int value: 'two'"),
        (["--", "no-such-command"], 127, "cannot run 'no-such-command'"),
        (["--", "/"], 126, "cannot run '/': Permission denied"),
    ],
)
def test_what_cannot_be_started(arguments, code, said):
    done = subprocess.run(
        [LAUNCHER, *arguments], capture_output=True, text=True, timeout=LIMIT
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr.splitlines()[-1]
