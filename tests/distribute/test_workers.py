"""Which worker is lost: what its address and TensorFlow's message say."""

import contextlib
import socket
import threading

import pytest
import tensorflow as tf

from simclr_keras.distribute import workers

OWN = "/job:worker/replica:0/task:0"
OTHER = "/job:worker/replica:0/task:1"


@pytest.fixture
def listening():
    """Two sockets that accept, and the resolver of their first."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(2)
        ]
        names = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        cluster = tf.train.ClusterSpec({"worker": names})
        yield (
            sockets,
            tf.distribute.cluster_resolver.SimpleClusterResolver(
                cluster, task_type="worker", task_id=0
            ),
        )


def test_a_process_that_is_ending_is_the_lost_one(listening):
    """It accepts connections for some moments after those that it had broke."""
    (_, second), resolver = listening
    address = f"127.0.0.1:{second.getsockname()[1]}"
    ending = threading.Timer(0.5, second.close)
    ending.start()
    lost = workers._lost(resolver, f"aborted by {OWN}: connection reset")
    ending.join()
    assert lost == [f"worker 1 ({address})"]


def test_a_worker_that_hangs_is_named_by_the_message(listening, monkeypatch):
    monkeypatch.setattr(workers, "_ENDING_SECONDS", 0.3)
    message = f"{OWN} waited for {OTHER} too long; {OTHER} gave no answer"
    assert workers._lost(listening[1], message) == ["worker 1"]


def test_a_failure_of_this_process_is_no_loss(listening, monkeypatch):
    """Such as memory that ran out, whose message names the own device."""
    monkeypatch.setattr(workers, "_ENDING_SECONDS", 0.3)
    message = f"OOM when allocating tensor on {OWN}/device:GPU:0"
    assert workers._lost(listening[1], message) == []
