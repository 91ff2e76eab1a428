"""Exchanges data between the processes of one training.

With one process, the functions that exchange data return their argument.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

# Largest message of one collective, in int32 words.
_CHUNK = 2**24
_CONNECT_SECONDS = 5.0
# How long a process whose connections broke may still accept others.
_ENDING_SECONDS = 10.0


def spans_processes(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether a strategy's replicas live in several processes."""
    several = tf.distribute.MultiWorkerMirroredStrategy
    return isinstance(strategy, several) and _count(strategy) > 1


def worker_sum(
    strategy: tf.distribute.Strategy, values: np.ndarray
) -> np.ndarray:
    """Sums an array over the processes; all must call this together.

    Args:
        strategy: the training's `tf.distribute.Strategy`.
        values: numeric array, of the same shape and dtype in all processes.

    Returns:
        NumPy array.

    Raises:
        RuntimeError: a worker was lost; the message names it.
    """
    values = np.asarray(values)
    if not spans_processes(strategy):
        return values
    local = strategy.num_replicas_in_sync // worker_count(strategy)

    def contribution(context):
        first = context.replica_id_in_sync_group % local == 0
        return tf.constant(values if first else np.zeros_like(values))

    with naming_lost(strategy):
        parts = strategy.experimental_distribute_values_from_function(
            contribution
        )
        total = strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)
        return total.numpy()


def addresses_of(
    resolver: tf.distribute.cluster_resolver.ClusterResolver,
) -> dict[str, str]:
    """Addresses of the processes that train together, in replica order.

    Args:
        resolver: `ClusterResolver` of the training.

    Returns:
        Dict such as `{"worker 0": "host:port", ...}`.
    """
    cluster = resolver.cluster_spec()
    return {
        f"{job} {number}": address
        for job in ("chief", "worker")
        if job in cluster.jobs
        for number, address in enumerate(cluster.job_tasks(job))
    }


def name_of(resolver: tf.distribute.cluster_resolver.ClusterResolver) -> str:
    """The name of this process among those of `addresses_of`."""
    return f"{resolver.task_type} {resolver.task_id}"


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files of the run; exactly one does."""
    return strategy.extended.should_checkpoint


def worker_count(strategy: tf.distribute.Strategy) -> int:
    """Number of the processes that a strategy spans."""
    if not spans_processes(strategy):
        return 1
    return _count(strategy)


def _count(strategy):
    return len(addresses_of(strategy.cluster_resolver))


def worker_number(strategy: tf.distribute.Strategy) -> int:
    """Index of this process, in the order of the replicas."""
    if not spans_processes(strategy):
        return 0
    resolver = strategy.cluster_resolver
    return list(addresses_of(resolver)).index(name_of(resolver))


def broadcast(strategy: tf.distribute.Strategy, data: bytes) -> bytes:
    """Sends the chief's bytes to every process; all must call this together.

    Args:
        strategy: the training's `tf.distribute.Strategy`.
        data: bytes; only those of the chief are read.

    Returns:
        The chief's bytes.
    """
    if not spans_processes(strategy):
        return data
    chief = is_chief(strategy)
    size = len(data) if chief else 0
    size = int(worker_sum(strategy, np.array([size], np.int64))[0])
    words = np.zeros(-(-size // 4), np.int32)
    if chief:
        padded = data + b"\0" * (-size % 4)
        words = np.frombuffer(padded, np.int32)
    parts = [
        worker_sum(strategy, words[first : first + _CHUNK])
        for first in range(0, len(words), _CHUNK)
    ]
    return b"".join(part.tobytes() for part in parts)[:size]


def value_of_chief(strategy: tf.distribute.Strategy, value: Any) -> Any:
    """Sends the chief's value to every process; all must call this together.

    Args:
        strategy: the training's `tf.distribute.Strategy`.
        value: value that JSON can hold; only that of the chief is read.
    """
    return json.loads(broadcast(strategy, json.dumps(value).encode()))


def from_chief(
    strategy: tf.distribute.Strategy, make: Callable[[], Any]
) -> Any:
    """Calls a function in the chief only; all must call this together.

    Args:
        strategy: `tf.distribute.Strategy`.
        make: function without arguments that returns what JSON can hold.

    Returns:
        Its value, in every process.

    Raises:
        ValueError: in the other processes, if it raised an error in the chief;
            they would wait for the chief otherwise.
    """
    answer, failure = {}, None
    if is_chief(strategy):
        try:
            answer["value"] = make()
        except Exception as error:  # raised again below
            answer["error"], failure = str(error), error
    answer = value_of_chief(strategy, answer)
    if failure is not None:
        raise failure
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer["value"]


def gather_rows(
    strategy: tf.distribute.Strategy, rows: np.ndarray
) -> np.ndarray:
    """Collects the rows of all processes; all must call this together.

    Args:
        strategy: the training's `tf.distribute.Strategy`.
        rows: array `[L, ...]`, one row for each replica of this process.

    Returns:
        Array `[R, ...]`, one row for each replica, in the replicas' order.
    """
    if not spans_processes(strategy):
        return rows
    everything = np.zeros(
        (strategy.num_replicas_in_sync, *rows.shape[1:]), rows.dtype
    )
    everything[own_replicas(strategy)] = rows
    return worker_sum(strategy, everything)


def own_replicas(strategy: tf.distribute.Strategy) -> slice:
    """Slice that selects this process's replicas from all replicas."""
    if not spans_processes(strategy):
        return slice(None)
    local = strategy.num_replicas_in_sync // worker_count(strategy)
    first = worker_number(strategy) * local
    return slice(first, first + local)


def describe_lost_worker(
    strategy: tf.distribute.Strategy, error: Exception
) -> str | None:
    """Names the lost worker if a run failed because it lost one.

    Args:
        strategy: the training's `tf.distribute.Strategy`.
        error: the exception that TensorFlow raised.

    Returns:
        Text for the user; None if the run failed for another reason.
    """
    if not spans_processes(strategy):
        return None
    lost = _lost(strategy.cluster_resolver, str(error))
    if not lost:
        return None
    return (
        f"lost {', '.join(lost)}: its process has ended or cannot be reached,"
        " and the others cannot go on without it. Its own output says why."
        " Start all workers again with the same command: they go on from what"
        " was saved last."
    )


def _lost(resolver, message):
    """Names of the lost workers, by their addresses or else by `message`.

    TensorFlow's message cannot tell alone: it names this worker too, also where
    all live (memory that ran out). A process that ends answers until the system
    has closed its sockets.
    """
    own = name_of(resolver)
    others = {
        name: address
        for name, address in addresses_of(resolver).items()
        if name != own
    }
    until = time.monotonic() + _ENDING_SECONDS
    while time.monotonic() < until:
        silent = [
            f"{name} ({address})"
            for name, address in others.items()
            if not _answers(address)
        ]
        if silent:
            return silent
        time.sleep(0.1)
    # A worker that hangs answers.
    found = re.findall(r"/job:(\w+)/replica:\d+/task:(\d+)", message)
    named = {f"{job} {number}" for job, number in found}
    return [name for name in others if name in named]


@contextlib.contextmanager
def naming_lost(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Context of work in which a lost worker is an error that names it.

    Raises:
        RuntimeError: TensorFlow failed because a worker was lost.
    """
    try:
        yield
    except tf.errors.OpError as error:
        text = describe_lost_worker(strategy, error)
        if text is None:
            raise
        raise RuntimeError(text) from error


def _answers(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
