"""tools/launch_local, with workers that are scripts of a few lines."""

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

pytestmark = pytest.mark.newest
LAUNCHER = pathlib.Path(__file__).parents[2] / "tools" / "launch_local"
LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs Linux's /proc"
)
LIMIT = 10  # seconds; no test needs more than two
# What the scripts of workers have at hand.
PRELUDE = """
import json, os, signal, socket, subprocess, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
"""
# Notes every signal, until half a second after the first has come.
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
# A shell that waits for a child; TERM ends the shell at once.
SHELL_WITH_CHILD = ["sh", "-c", '"$0" -S -c "$1" & wait', sys.executable]


def _python(script):
    """A worker's command; without site-packages it starts at once."""
    return [sys.executable, "-S", "-c", PRELUDE + script]


class _Launch:
    """One run of the launcher, whose processes all carry a mark."""

    def __init__(self, command, options, mark, environment, hangup):
        self.mark = f"LAUNCH_LOCAL_TEST={mark}"
        self.process = subprocess.Popen(
            [sys.executable, "-S", LAUNCHER, *options, "--", *command],
            env={**os.environ, **environment, "LAUNCH_LOCAL_TEST": mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # `wait_for` must leave to `end` what comes behind
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, hangup),
        )
        self.limit = threading.Timer(LIMIT, self.process.kill)
        self.limit.start()

    def wait_for(self, *lines):
        """Reads stdout until each of `lines` has come, in any order."""
        missing = set(lines)
        while missing:
            line = self.process.stdout.readline().decode()
            assert line, f"the launcher ended without {missing}"
            missing.discard(line.rstrip("\n"))

    def end(self):
        """Returns exit code and the lines of stdout and stderr."""
        out, err = self.process.communicate(timeout=LIMIT)
        lines = (text.decode().splitlines() for text in (out, err))
        return self.process.returncode, *lines

    def running(self):
        """Numbers of the processes that carry the mark; none without /proc."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                if self.mark.encode() in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except OSError:  # another user's, or ended meanwhile
                pass
        return found

    def ends_within(self, seconds):
        """Whether nothing with the mark runs any more by then."""
        deadline = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@pytest.fixture
def launch(request):
    """Starts launchers; at the end of every test nothing of them may run."""
    launches = []

    def start(command, *options, hangup=signal.SIG_DFL, **environment):
        mark = f"{os.getpid()}-{request.node.name}-{len(launches)}"
        launches.append(_Launch(command, options, mark, environment, hangup))
        return launches[-1]

    yield start
    left = []
    for each in launches:
        left += each.running()
        each.limit.cancel()
        each.process.kill()
        each.process.wait(timeout=LIMIT)
        for stream in (each.process.stdout, each.process.stderr):
            stream.close()
    for number in left:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert not left, "processes outlived the launcher"


def test_every_worker_gets_the_cluster_its_index_and_a_free_port(launch):
    script = """
address, port = config["cluster"]["worker"][index].split(":")
held = socket.create_server((address, int(port)))
print(json.dumps(config))
"""
    code, out, err = launch(
        _python(script), "--workers=3", TF_CONFIG="of another cluster"
    ).end()
    assert (code, err) == (0, [])
    configs = {}
    for line in out:
        prefix, text = line.split("] ", 1)
        configs[prefix] = json.loads(text)
    workers = configs["[worker 0"]["cluster"]["worker"]
    assert len(set(workers)) == 3
    assert all(address.startswith("127.0.0.1:") for address in workers)
    assert configs == {
        f"[worker {i}": {
            "cluster": {"worker": workers},
            "task": {"type": "worker", "index": i},
        }
        for i in range(3)
    }


def test_there_are_two_workers_by_default(launch):
    code, out, _ = launch(["echo", "here"]).end()
    assert (code, sorted(out)) == (0, ["[worker 0] here", "[worker 1] here"])


def test_the_launcher_can_be_called_by_its_name():
    done = subprocess.run(
        [LAUNCHER, "--help"], capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0
    assert "-- simclr-pretrain" in done.stdout


def test_python_workers_write_unbuffered_unless_told(launch, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    for given, expected in (
        ({}, "1"),
        ({"PYTHONUNBUFFERED": "kept"}, "kept"),
    ):
        command = ["sh", "-c", "echo $PYTHONUNBUFFERED"]
        out = launch(command, "--workers=1", **given).end()[1]
        assert out == [f"[worker 0] {expected}"]


def test_every_line_has_its_prefix_and_the_last_may_be_partial(launch):
    """Written in pieces: a chunk that ends within a line must not cut it."""
    script = r"""
for piece in ("one\ntw", "o\r\n", "\n3/9\r", "\b\b\b\b4/9\b\b", "\r\xe4nd"):
    os.write(1, piece.encode())
    time.sleep(0.05)
os.write(2, b"err")
"""
    code, out, err = launch(_python(script), "--workers=1").end()
    assert code == 0
    lines = ["one", "two", "3/9", "4/9", "\xe4nd"]
    assert out == [f"[worker 0] {line}" for line in lines]
    assert err == ["[worker 0] err"]


def test_a_line_is_passed_on_before_the_worker_ends(launch):
    run = launch(_python("print('now')\ntime.sleep(60)"), "--workers=1")
    run.wait_for("[worker 0] now")
    run.process.terminate()
    assert run.end()[0] == 128 + signal.SIGTERM


def test_lines_of_different_workers_are_not_mixed(launch):
    """Lines of 3 kB, more than a pipe's atomic write can keep together."""
    script = "for i in range(200): print(f'{i} ' + str(index) * 3000)"
    code, out, _ = launch(_python(script), "--workers=3").end()
    assert code == 0
    assert sorted(out) == sorted(
        f"[worker {worker}] {i} " + str(worker) * 3000
        for worker in range(3)
        for i in range(200)
    )


def test_a_worker_that_ends_with_zero_leaves_the_others_alone(launch):
    script = "time.sleep(0.5 * index)\nprint('done')"
    code, out, err = launch(_python(script), "--grace=0").end()
    assert (code, err) == (0, [])
    assert out == ["[worker 0] done", "[worker 1] done"]


@pytest.mark.parametrize(
    "failure, code, said",
    [
        ("sys.exit(3)", 3, "code 3"),
        ("os.kill(os.getpid(), 9)", 137, "signal 9, code 137"),
    ],
)
def test_one_failure_ends_all_and_gives_its_code(launch, failure, code, said):
    """The others would end with 5, later: not the first, so not the code."""
    script = f"""
if index == 1:
    {failure}
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
time.sleep(60)
"""
    run = launch(_python(script), "--workers=3", "--grace=0.5")
    assert run.end() == (
        code,
        [],
        [f"launch_local: worker 1 failed first: {said}"],
    )


def test_after_a_failure_the_others_have_time_to_end_by_themselves(launch):
    script = """
if index == 1:
    sys.exit(3)
time.sleep(0.5)
print("noticed it")
"""
    code, out, _ = launch(_python(script), "--grace=60").end()
    assert (code, out) == (3, ["[worker 0] noticed it"])


def test_a_worker_that_ignores_sigterm_is_killed(launch):
    """SIGTERM comes after 0.7 s, SIGKILL 0.7 s later."""
    script = """
if index == 1:
    time.sleep(0.2)
    sys.exit(4)
signal.signal(signal.SIGTERM, lambda *_: print("no"))
while True:
    time.sleep(1)
"""
    started = time.monotonic()
    code, out, err = launch(
        _python(script), "--grace=0.7", "--kill_after=0.7"
    ).end()
    assert 1.6 <= time.monotonic() - started
    assert (code, out) == (4, ["[worker 0] no"])
    assert err[-1] == "launch_local: worker 1 failed first: code 4"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_reaches_every_worker_exactly_once(launch, name):
    """As Ctrl-C sends it: to the whole process group of the launcher."""
    run = launch(_python(COUNTS_SIGNALS + "sys.exit(75)"), "--workers=2")
    run.wait_for("[worker 0] ready", "[worker 1] ready")
    os.killpg(run.process.pid, signal.Signals[name])
    code, out, err = run.end()
    assert code == 75
    assert sorted(out) == [f"[worker 0] got {name}", f"[worker 1] got {name}"]
    assert err[0].startswith(f"launch_local: {name} handed on")


def test_workers_that_do_not_end_after_a_signal_get_the_other_two(launch):
    """SIGINT is handed on, SIGTERM follows after the grace, then SIGKILL."""
    script = COUNTS_SIGNALS + "time.sleep(60)"
    run = launch(
        _python(script), "--workers=1", "--grace=0.2", "--kill_after=1.2"
    )
    run.wait_for("[worker 0] ready")
    run.process.send_signal(signal.SIGINT)
    code, out, _ = run.end()
    assert (code, out) == (137, ["[worker 0] got SIGINT SIGTERM"])


def test_a_second_signal_kills_at_once(launch):
    run = launch(_python(COUNTS_SIGNALS + "time.sleep(60)"), "--grace=60")
    run.wait_for("[worker 0] ready", "[worker 1] ready")
    run.process.send_signal(signal.SIGINT)
    run.wait_for("[worker 0] got SIGINT", "[worker 1] got SIGINT")
    time.sleep(0.1)
    run.process.send_signal(signal.SIGINT)
    assert run.end()[0] == 128 + signal.SIGKILL


def test_a_second_signal_kills_what_a_shell_has_left_behind(launch):
    """The shell ends by the first signal, its child would go on."""
    script = PRELUDE + COUNTS_SIGNALS + "time.sleep(60)"
    run = launch([*SHELL_WITH_CHILD, script], "--workers=1", "--grace=60")
    run.wait_for("[worker 0] ready")
    run.process.terminate()
    run.wait_for("[worker 0] got SIGTERM")
    time.sleep(0.1)
    run.process.terminate()
    assert run.end()[0] == 128 + signal.SIGTERM


def test_what_comes_right_behind_a_signal_is_no_second_one(launch):
    """GNU timeout signals its child, then the group the child is in."""
    run = launch(_python(COUNTS_SIGNALS + "sys.exit(75)"), "--workers=1")
    run.wait_for("[worker 0] ready")
    run.process.terminate()
    time.sleep(0.1)
    run.process.terminate()
    code, out, _ = run.end()
    assert (code, out) == (75, ["[worker 0] got SIGTERM"])


def test_a_signal_reaches_the_children_of_a_shell_and_leaves_them_time(launch):
    """The shell ends at once; its child still has half a second's work."""
    run = launch([*SHELL_WITH_CHILD, PRELUDE + COUNTS_SIGNALS], "--workers=1")
    run.wait_for("[worker 0] ready")
    run.process.terminate()
    code, out, _ = run.end()
    assert (code, out) == (143, ["[worker 0] got SIGTERM"])


def test_what_a_worker_left_in_the_background_is_ended(launch):
    """Worker 1 works on after worker 0's command has left a child behind."""
    script = """
if index == 0:
    sleeper = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    subprocess.Popen(sleeper)
else:
    time.sleep(0.3)
    print("done")
"""
    code, out, err = launch(_python(script)).end()
    assert (code, out, err) == (0, ["[worker 1] done"], [])


def test_a_hangup_that_nohup_made_ignored_stays_ignored(launch):
    run = launch(_python(COUNTS_SIGNALS), "--workers=1", hangup=signal.SIG_IGN)
    run.wait_for("[worker 0] ready")
    run.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    run.process.send_signal(signal.SIGTERM)
    assert run.end()[:2] == (0, ["[worker 0] got SIGTERM"])


@LINUX
def test_an_ended_orphan_is_not_waited_for(launch):
    """As in a container whose first process reaps nobody, as this one here.

    The orphan would stay in the group as a zombie, and the grace run out.
    """
    libc, set_child_subreaper = ctypes.CDLL(None), 36
    run = launch([*SHELL_WITH_CHILD, PRELUDE + COUNTS_SIGNALS], "--workers=1")
    run.wait_for("[worker 0] ready")
    libc.prctl(set_child_subreaper, 1, 0, 0, 0)
    try:
        run.process.terminate()
        assert run.end()[0] == 143
    finally:
        libc.prctl(set_child_subreaper, 0, 0, 0, 0)


@LINUX
@pytest.mark.parametrize("kind", ["command", "child of a shell"])
def test_kill_9_of_the_launcher_ends_the_workers(launch, kind):
    script = PRELUDE + "print('ready')\ntime.sleep(60)"
    command = [sys.executable, "-S", "-c", script]
    if kind == "child of a shell":
        command = [*SHELL_WITH_CHILD, script]
    run = launch(command)
    run.wait_for("[worker 0] ready", "[worker 1] ready")
    assert len(run.running()) >= 3
    run.process.kill()
    assert run.ends_within(5)


@LINUX
def test_the_kernel_kills_a_worker_whose_launcher_is_gone(launch):
    """Asks by prctl(PR_GET_PDEATHSIG), whose number is 2."""
    script = """
import ctypes
number = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(number))
print(number.value)
"""
    code, out, _ = launch(_python(script), "--workers=1").end()
    assert (code, out) == (0, [f"[worker 0] {int(signal.SIGKILL)}"])


def test_workers_go_on_when_nobody_reads_any_more(launch, tmp_path):
    """Ctrl-C ends a `tee` behind the launcher while checkpoints are saved."""
    script = f"""
print("ready")
time.sleep(0.3)
for _ in range(1000):
    print("x" * 1000)
open({str(tmp_path)!r} + f"/{{index}}", "w").close()
"""
    run = launch(_python(script))
    run.wait_for("[worker 0] ready", "[worker 1] ready")
    run.process.stdout.close()
    assert run.process.wait(timeout=LIMIT) == 0
    assert sorted(os.listdir(tmp_path)) == ["0", "1"]


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores that processes can be bound to",
)
def test_pin_gives_every_worker_cores_of_its_own(launch):
    script = "print(json.dumps(sorted(os.sched_getaffinity(0))))"
    allowed = sorted(os.sched_getaffinity(0))
    for options in ([], ["--pin"]):
        code, out, _ = launch(_python(script), "--workers=2", *options).end()
        shares = [json.loads(line.split("] ")[1]) for line in sorted(out)]
        assert code == 0
        if options:
            half = len(allowed) // 2
            assert shares == [allowed[:half], allowed[half:]]
        else:
            assert shares == [allowed, allowed]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--workers=2"], "no command to start: put it behind `--`"),
        (["--workers=2", "--"], "no command to start: put it behind `--`"),
        (["--workers=0", "--", "true"], "at least 1. Received: 0"),
        (["--workers=-1", "--", "true"], "at least 1. Received: -1"),
        (["--workers=two", "--", "true"], "at least 1. Received: two"),
        (["--workers=1.5", "--", "true"], "at least 1. Received: 1.5"),
        (["--grace=-1", "--", "true"], "0 or more. Received: -1"),
        (["--kill_after=x", "--", "true"], "0 or more. Received: x"),
        (["true", "--", "true"], "unrecognized arguments: true"),
        (["--pin", "--workers=100000", "--", "true"], "--pin needs a"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_allowed(arguments, said):
    done = subprocess.run(
        [sys.executable, "-S", LAUNCHER, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]


def test_a_command_that_is_not_found_ends_with_127(launch):
    code, _, err = launch(["no-such-command"]).end()
    assert (code, err) == (
        127,
        [
            "launch_local: cannot run 'no-such-command': "
            "No such file or directory"
        ],
    )


def test_a_command_that_cannot_be_run_ends_with_126(launch, tmp_path):
    (tmp_path / "text").write_text("no program")
    code, _, err = launch([str(tmp_path / "text")]).end()
    assert code == 126
    assert err[0].endswith("Permission denied")
