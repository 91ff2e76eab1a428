"""Which strategy a name stands for, and what is refused."""

import json
import pathlib

import forked
import pytest

from simclr_keras.distribute import limits
from simclr_keras.distribute import strategy

SPLIT_CPU = pathlib.Path(__file__).with_name("split_cpu.py")
CLUSTER = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}


pytestmark = pytest.mark.usefixtures("no_cluster")


def _configure(monkeypatch, index=1, cluster=CLUSTER):
    task = {"type": "worker", "index": index}
    config = {"cluster": cluster, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def test_one_device_without_more():
    choice = strategy.choose()
    assert (choice.name, choice.replicas, choice.chief) == ("single", 1, True)
    assert "one device" in str(choice)


@pytest.mark.parametrize(
    "gpus, tpu, workers, expected",
    [
        (0, None, 0, "single"),
        (1, None, 0, "single"),
        (4, None, 0, "mirrored"),
        (0, None, 2, "multi_worker"),
        (4, None, 2, "multi_worker"),
        (4, "local", 2, "tpu"),
    ],
)
def test_what_auto_takes(monkeypatch, gpus, tpu, workers, expected):
    """The larger thing first: a TPU, the workers, the GPUs."""
    if workers:
        _configure(monkeypatch)
    name, why = strategy._automatic(tpu, gpus, 0)
    assert name == expected and why


def test_a_cluster_of_one_worker_is_one_device(monkeypatch):
    _configure(monkeypatch, 0, {"worker": ["127.0.0.1:1"]})
    assert strategy._automatic(None, 0, 0)[0] == "single"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "horovod"}, "must be one of auto, single"),
        ({"name": "mirrored"}, "needs GPUs, or logical_cpus"),
        ({"name": "multi_worker"}, "needs TF_CONFIG"),
        ({"name": "tpu"}, "needs tpu_name"),
        ({"name": "multi_worker", "logical_cpus": 2}, "goes with the strategy"),
    ],
)
def test_what_is_not_there_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        strategy.choose(**arguments)


def test_a_task_that_the_cluster_does_not_have(monkeypatch):
    _configure(monkeypatch, index=5)
    with pytest.raises(ValueError, match='"index": 5'):
        strategy.choose("multi_worker")


def test_a_config_that_is_no_json(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{worker")
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON"):
        strategy.choose()


def test_logical_cpus_split_the_cpu(tmp_path):
    """In a process of its own; too late once TensorFlow has begun."""
    process = forked.Process(SPLIT_CPU, [], tmp_path / "log")
    assert process.wait() == 0, process.text()[-3000:]
    first, second = process.text().strip().splitlines()
    assert first == "3 CPU replicas (mirrored: 3 logical CPUs) 3"
    assert second.startswith("logical_cpus must be set before TensorFlow")


@pytest.mark.newest
@pytest.mark.parametrize(
    ("batch", "count", "replicas", "part"),
    [(256, 1000, 2, 256), (256, 200, 2, 128), (30, 29, 3, 15)],
)
def test_part_of_a_batch_for_fewer_images(batch, count, replicas, part):
    assert limits.part_of_batch(batch, count, replicas, "the part") == part
    with pytest.raises(ValueError, match="the part must be divisible by .* 7"):
        limits.part_of_batch(batch, count, 7, "the part")
