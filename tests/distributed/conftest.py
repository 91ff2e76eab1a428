"""How the tests here run trainings: in processes of their own, all ended.

TensorFlow's devices can be split only before it starts, and replicas of two
strategies do not fit in one process.
"""

import json
import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAINING = pathlib.Path(__file__).with_name("training.py")
SECONDS = 600


class Run:
    """A process, or a launcher of several, with all its children.

    Attributes:
        process: `subprocess.Popen`.
        log: path of the file that takes its output.
    """

    def __init__(self, command, log, **environment):
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **environment},
            )

    def text(self):
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self, seconds=SECONDS):
        """Its exit code."""
        return self.process.wait(timeout=seconds)

    def wait_for(self, condition, seconds=SECONDS):
        """Returns when the condition holds; fails where it ended before."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.text()[-3000:]
            assert time.monotonic() < end, self.text()[-3000:]
            time.sleep(0.05)

    def end(self):
        """Ends it and its children, however it stands."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Function of a command that starts it; all is ended with the tests."""
    runs = []

    def begin(command, **environment):
        log = tmp_path_factory.mktemp("log") / "log"
        runs.append(Run(list(map(str, command)), log, **environment))
        return runs[-1]

    yield begin
    for run in runs:
        run.end()


@pytest.fixture(scope="module")
def train(fork_workers, tmp_path_factory):
    """Function that runs `training.py`; returns the arrays of its files.

    Args of the function:
        variants: name -> settings that differ from `training.DEFAULTS`.
        replicas: numbers of replicas that each variant is trained on.
        workers: instead, the number of processes that train it together.
    """

    def run(variants, replicas=(), workers=1):
        output = tmp_path_factory.mktemp("training")
        order = {"variants": variants, "replicas": list(replicas)}
        arguments = [output, json.dumps(order)]
        for process in fork_workers(workers, TRAINING, arguments):
            assert process.wait() == 0, process.text()[-3000:]
        return {path.stem: _load(path) for path in output.glob("*.npz")}

    return run


def _load(path):
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}
