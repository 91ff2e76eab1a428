"""kill -9 at any moment, the same command again: the same bits at the end."""

import contextlib
import csv
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from simclr_keras.training import checkpointing

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 300  # seconds of one training, start included
SEED = 0
# A training of 64 steps in 8 epochs, with validation and kNN after each, that
# says what it is doing. Each line of stdin, a run directory and the seconds
# that an array takes to be written, starts one in a process of its own: forked
# where TensorFlow is imported and not used yet, which costs no start.
SERVER = """
import os, sys, time
import keras
import numpy as np
import simclr_keras as sk
from simclr_keras import evaluation
from simclr_keras.training import checkpointing

def say(*words):
    print(*words, flush=True)

class Says(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        say("step", int(self.model.optimizer.iterations))
    def on_test_batch_end(self, batch, logs=None):
        say("validation")
        time.sleep(0.05)

class KNN(evaluation.KNNCallback):
    def on_epoch_end(self, epoch, logs=None):
        say("knn")
        time.sleep(0.05)
        super().on_epoch_end(epoch, logs)

def train(directory, seconds):
    add = checkpointing._add
    def slow(archive, name, value):
        say("writing")
        time.sleep(seconds)
        add(archive, name, value)
    if seconds:
        checkpointing._add = slow
    keras.utils.set_random_seed(1)
    model = sk.SimCLR(
        sk.TinyResNet(channels=(4,)),
        sk.ProjectionHead("nonlinear", num_layers=2, out_dim=8),
        sk.TwoViews(16, jit=False, blur=False),
        num_classes=3,
    )
    schedule = sk.WarmupCosine(0.05, warmup_steps=8, total_steps=64)
    model.compile(sk.LARS(schedule), sk.NTXent(0.5))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 16, 16, 3)).astype(np.uint8)
    labels = rng.integers(0, 3, 64)
    data = sk.data.load(
        (images, labels), image_size=16, batch_size=8, labelled=True
    )
    held_out = sk.data.load(
        (images[:32], labels[:32]), batch_size=16, labelled=True, training=False
    )
    callbacks = sk.training.callbacks(
        directory, checkpoint_steps=3, keep=2, log_every=4
    )
    model.fit(
        data,
        epochs=8,
        validation_data=held_out,
        callbacks=[Says(), KNN(held_out, held_out, k=5), *callbacks],
        verbose=0,
    )

for line in sys.stdin:
    directory, seconds = line.split()
    child = os.fork()
    if not child:
        train(directory, float(seconds))
        say("done")
        os._exit(0)
    say("child", child)
    say("ended", os.waitpid(child, 0)[1])
"""


class Server:
    """Starts trainings, one at a time, and reads what they say.

    Attributes:
        ended: how the last one ended, as `os.waitpid` says it.
    """

    def __init__(self):
        self.ended = None
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=ROOT,
            start_new_session=True,
        )

    def lines(self, directory, seconds=0.0):
        """Starts a training; yields its number and then what it says."""
        limit = threading.Timer(LIMIT, self._kill)
        limit.start()
        try:
            self._process.stdin.write(f"{directory} {seconds}\n")
            for line in self._process.stdout:
                if line.startswith("ended "):
                    self.ended = int(line.split()[1])
                    return
                yield line.rstrip("\n")
            raise AssertionError("the server has ended, perhaps by the limit")
        finally:
            limit.cancel()

    def _kill(self):
        os.killpg(self._process.pid, signal.SIGKILL)

    def close(self):
        """Ends it."""
        self._process.stdin.close()
        self._process.wait(timeout=LIMIT)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def server():
    """The server of this module."""
    running = Server()
    yield running
    running.close()


@dataclasses.dataclass(frozen=True)
class Kill:
    """When a training is killed.

    Attributes:
        after: what it says as it happens; `""`: its start, without a step.
        count: how many times it has said it by then.
        delay: seconds after that.
        slow: seconds that an array takes to be written.
    """

    after: str
    count: int
    delay: float
    slow: float = 0.0


def _kills(seed):
    """Twenty after the first step, and some before."""
    rng = random.Random(seed)
    kills = [Kill("", 1, rng.uniform(0.0, 3.0)) for _ in range(3)]
    for _ in range(8):
        count = rng.randint(1, 16)
        kills.append(Kill("step", count, rng.uniform(0.0, 0.1)))
    for _ in range(6):  # a checkpoint has more than 40 arrays
        count = rng.randint(1, 80)
        kills.append(Kill("writing", count, rng.uniform(0.0, 0.01), 0.01))
    for what in ("validation", "knn") * 3:
        count = rng.randint(1, 2)
        kills.append(Kill(what, count, rng.uniform(0.0, 0.05)))
    rng.shuffle(kills)
    return kills


def _killed_in(server, directory, kill):
    """What a training did when it was killed; None: it had come to its end."""
    said = server.lines(directory, kill.slow)
    child = int(next(said).split()[1])
    doing, count = "", 0
    if not kill.after:
        _kill(child, kill.delay)
    for line in said:
        doing = line.split()[0] if line else doing
        count += doing == kill.after
        if count == kill.count and doing == kill.after:
            _kill(child, kill.delay)
    if server.ended:
        assert os.WTERMSIG(server.ended) == signal.SIGKILL
        return doing
    assert doing == "done"
    return None


def _kill(child, delay):
    time.sleep(delay)
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:  # it was too late
        pass


def _partial(directory):
    """Time of the checkpoint that is half written, or None."""
    try:
        return (directory / "checkpoints" / ".partial").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _digests(directory):
    """SHA-256 of what a run leaves: variables, places and figures."""
    digests = {}
    checkpoints = directory / "checkpoints"
    for name in ("step-00000064.npz", "best.npz"):
        if not (checkpoints / name).exists():
            continue
        arrays, notes, config = checkpointing.read(checkpoints / name)
        digest = hashlib.sha256(json.dumps([notes, config]).encode())
        for key, value in sorted(arrays.items()):
            digest.update(f"{key} {value.dtype} {value.shape}".encode())
            digest.update(value.tobytes())
        digests[name] = digest.hexdigest()
    for name in ("metrics.csv", "results.json"):
        if (directory / name).exists():
            data = (directory / name).read_bytes()
            digests[name] = hashlib.sha256(data).hexdigest()
    return digests


@pytest.mark.long
def test_a_training_that_is_killed_at_random_ends_with_the_same_bits(
    server, tmp_path
):
    """More than twenty times; it begins anew where it came to its end."""
    whole = tmp_path / "whole"
    *_, last = server.lines(whole)
    assert last == "done"
    expected = _digests(whole)
    assert len(expected) == 3
    kills = _kills(SEED)
    hit, directory, ends = [], tmp_path / "0", 0
    for kill in kills:
        known = _partial(directory)  # that an earlier kill has left
        while (doing := _killed_in(server, directory, kill)) is None:
            assert _digests(directory) == expected
            ends += 1
            directory = tmp_path / str(ends)
        half_written = _partial(directory) not in (None, known)
        hit.append("half written" if half_written else doing)
    *_, last = server.lines(directory)
    assert last == "done"
    assert _digests(directory) == expected
    # What the kills left aside has gone.
    assert not list((directory / "checkpoints").glob(".*"))
    print({what: hit.count(what) for what in hit})
    assert len(hit) == len(kills) == 23
    # As they were drawn: six, six and eight.
    assert hit.count("half written") >= 3
    assert hit.count("validation") + hit.count("knn") >= 3
    assert hit.count("step") >= 3


class Command:
    """A command on few of the embedded images, with its run directory."""

    def __init__(self, name, directory, *arguments):
        self.directory = directory
        self._command = [
            sys.executable,
            "-m",
            f"simclr_keras.commands.{name}",
            *arguments,
            f"--model_dir={directory}",
            "--precision=float32",
            "--train_split=train[:320]",
            "--eval_split=test[:128]",
            "--train_batch_size=32",
            "--train_steps=64",
            "--checkpoint_steps=3",
            "--log_every=5",
            "--verbose=0",
        ]

    @contextlib.contextmanager
    def running(self):
        """Its process, which lives for a limited time."""
        with subprocess.Popen(
            self._command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            limit = threading.Timer(LIMIT, process.kill)
            limit.start()
            try:
                yield process
            finally:
                limit.cancel()
                process.kill()

    def stop_when(self, there, number=signal.SIGKILL):
        """Sends it a signal as soon as something is there; returns its code."""
        with self.running() as process:
            while not there():
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.002)
            process.send_signal(number)
            process.communicate()
            return process.returncode

    def finish(self):
        """Runs it to its end; returns what it printed."""
        with self.running() as process:
            out, _ = process.communicate()
        assert process.returncode == 0, out
        return out

    def has_step(self, step):
        """Whether its checkpoint of that step or a later one is there."""
        newest = checkpointing.checkpoints(self.directory / "checkpoints")
        return bool(newest) and newest[-1].stem >= f"step-{step:08d}"

    def logged(self, scope, step):
        """Whether `metrics.csv` has a row, a whole one."""
        try:
            with open(self.directory / "metrics.csv", newline="") as file:
                rows = list(csv.DictReader(file))
        except FileNotFoundError:
            return False
        key = scope, str(step)
        return key in [(row["scope"], row["step"]) for row in rows]

    def within_epoch(self):
        """Steps into its epoch of the newest checkpoint."""
        newest = checkpointing.newest_intact(self.directory / "checkpoints")
        return checkpointing.read(newest)[1]["step_in_epoch"]


def _pretraining(directory):
    """Epochs of `fit` of 30 steps: three of the data."""
    return Command(
        "pretrain",
        directory,
        "--flagfile=flags/shapes/pretrain.flags",
        "--width_multiplier=0.25",
        "--eval_every_epochs=3",
        "--knn_k=20",
    )


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Run directory of a pre-training that nothing interrupted."""
    command = _pretraining(tmp_path_factory.mktemp("runs") / "pretrained")
    command.finish()
    return command.directory


@pytest.mark.newest
@pytest.mark.long
def test_the_pretraining_command_ends_the_same_after_two_kills_and_a_signal(
    pretrained, tmp_path
):
    command = _pretraining(tmp_path / "run")
    killed = -signal.SIGKILL
    assert command.stop_when(lambda: command.has_step(12)) == killed
    assert command.within_epoch() >= 12
    # Its last step is logged, its evaluations are not.
    assert command.stop_when(lambda: command.logged("steps", 30)) == killed
    assert not command.logged("epoch", 30)
    code = command.stop_when(lambda: command.has_step(42), signal.SIGTERM)
    assert code == 75
    assert command.within_epoch() >= 12
    assert "steps into epoch 1)." in command.finish()
    assert _digests(command.directory) == _digests(pretrained)
    assert len(_digests(pretrained)) == 4


@pytest.mark.newest
@pytest.mark.long
@pytest.mark.parametrize(
    "name, arguments",
    [
        ("finetune", ["--color_jitter_strength=0.5"]),
        ("linear_eval", ["--protocol=gradient"]),
    ],
)
def test_a_classifiers_command_ends_the_same_after_a_kill(
    pretrained, tmp_path, name, arguments
):
    arguments = [f"--checkpoint={pretrained}", *arguments]
    whole = Command(name, tmp_path / "whole", *arguments)
    whole.finish()
    command = Command(name, tmp_path / "run", *arguments)
    killed = command.stop_when(lambda: command.has_step(12))
    assert killed == -signal.SIGKILL
    assert command.within_epoch() >= 12
    assert "steps into epoch 0)." in command.finish()
    assert _digests(command.directory) == _digests(whole.directory)
    assert len(_digests(whole.directory)) == 3  # there is no best one
