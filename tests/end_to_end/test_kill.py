"""kill -9 at any moment, the same command again: the same bits at the end."""

import csv
import dataclasses
import hashlib
import json
import pathlib
import random
import signal
import time

import pytest

from simclr_keras.training import checkpointing

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 300  # seconds of one training, start included
SEED = 0
TRAINING = pathlib.Path(__file__).with_name("killed_training.py")


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


def _train(fork, directory, slow=0.0):
    """Starts a training in a run directory."""
    return fork(TRAINING, [directory, slow])


def _killed_in(fork, directory, kill):
    """What a training did when it was killed; None: it had come to its end."""
    process = _train(fork, directory, kill.slow)
    doing, count = "", 0
    if not kill.after:
        time.sleep(kill.delay)
        process.send_signal(signal.SIGKILL)
    for line in process.lines(LIMIT):
        doing = line.split()[0] if line else doing
        count += doing == kill.after
        if count == kill.count and doing == kill.after:
            time.sleep(kill.delay)
            process.send_signal(signal.SIGKILL)
    code = process.wait()
    if code:
        assert code == -signal.SIGKILL, process.text()[-3000:]
        return doing
    assert doing == "done"
    return None


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


@pytest.fixture(scope="module")
def whole(fork, tmp_path_factory):
    """Digests of what a training leaves that nothing disturbed."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    assert _train(fork, directory).wait() == 0
    digests = _digests(directory)
    assert len(digests) == 3
    return digests


def _kill_and_finish(fork, kills, expected, tmp_path):
    """Kills one training after the other; returns what each was doing.

    It begins anew where it has come to its end.
    """
    hit, directory, ends = [], tmp_path / "0", 0
    for kill in kills:
        known = _partial(directory)  # that an earlier kill has left
        while (doing := _killed_in(fork, directory, kill)) is None:
            assert _digests(directory) == expected
            ends += 1
            directory = tmp_path / str(ends)
        half_written = _partial(directory) not in (None, known)
        hit.append("half written" if half_written else doing)
    process = _train(fork, directory)
    assert process.wait() == 0, process.text()[-3000:]
    assert _digests(directory) == expected
    # What the kills left aside has gone.
    assert not list((directory / "checkpoints").glob(".*"))
    return hit


def test_a_training_that_is_killed_ends_with_the_same_bits(
    fork, whole, tmp_path
):
    """In a step within an epoch, in writing a checkpoint, in an evaluation."""
    kills = [
        Kill("step", 13, 0.0),
        Kill("writing", 50, 0.0, 0.03),
        Kill("knn", 2, 0.02),
    ]
    hit = _kill_and_finish(fork, kills, whole, tmp_path)
    assert "half written" in hit


@pytest.mark.long
def test_a_training_that_is_killed_at_random_ends_with_the_same_bits(
    fork, whole, tmp_path
):
    """More than twenty times."""
    kills = _kills(SEED)
    hit = _kill_and_finish(fork, kills, whole, tmp_path)
    print({what: hit.count(what) for what in hit})
    assert len(hit) == len(kills) == 23
    # As they were drawn: six, six and eight.
    assert hit.count("half written") >= 3
    assert hit.count("validation") + hit.count("knn") >= 3
    assert hit.count("step") >= 3


class Command:
    """A command on few of the embedded images, with its run directory."""

    def __init__(self, fork, name, directory, *arguments):
        self.directory = directory
        self._start = lambda: fork(
            name,
            [
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
            ],
        )

    def stop_when(self, there, number=signal.SIGKILL):
        """Sends it a signal as soon as something is there; returns its code."""
        process = self._start()
        process.wait_for(there, LIMIT)
        process.send_signal(number)
        return process.wait(LIMIT)

    def finish(self):
        """Runs it to its end; returns what it printed."""
        process = self._start()
        assert process.wait(LIMIT) == 0, process.text()[-3000:]
        return process.text()

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


def _pretraining(fork, directory):
    """Epochs of `fit` of 30 steps: three of the data."""
    return Command(
        fork,
        "pretrain",
        directory,
        f"--flagfile={ROOT / 'flags/shapes/pretrain.flags'}",
        "--width_multiplier=0.25",
        "--eval_every_epochs=3",
        "--knn_k=20",
    )


@pytest.fixture(scope="module")
def pretrained(fork, tmp_path_factory):
    """Run directory of a pre-training that nothing interrupted."""
    directory = tmp_path_factory.mktemp("runs") / "pretrained"
    command = _pretraining(fork, directory)
    command.finish()
    return command.directory


@pytest.mark.newest
@pytest.mark.long
def test_the_pretraining_command_ends_the_same_after_two_kills_and_a_signal(
    fork, pretrained, tmp_path
):
    command = _pretraining(fork, tmp_path / "run")
    killed = -signal.SIGKILL
    assert command.stop_when(lambda: command.has_step(12)) == killed
    assert command.within_epoch() >= 12
    # Its last step is logged, its evaluations are not.
    assert command.stop_when(lambda: command.logged("steps", 30)) == killed
    assert not command.logged("epoch", 30)
    code = command.stop_when(lambda: command.has_step(42), signal.SIGTERM)
    assert code == 75
    assert command.within_epoch() >= 12
    assert "steps into fit epoch 2)." in command.finish()
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
    fork, pretrained, tmp_path, name, arguments
):
    arguments = [f"--checkpoint={pretrained}", *arguments]
    whole = Command(fork, name, tmp_path / "whole", *arguments)
    whole.finish()
    command = Command(fork, name, tmp_path / "run", *arguments)
    killed = command.stop_when(lambda: command.has_step(12))
    assert killed == -signal.SIGKILL
    assert command.within_epoch() >= 12
    assert "steps into fit epoch 1)." in command.finish()
    assert _digests(command.directory) == _digests(whole.directory)
    assert len(_digests(whole.directory)) == 3  # there is no best one
