"""In a worker: the collectives of a training step, by themselves."""

import collections
import functools
import time

import numpy as np
import tensorflow as tf

from benchmarks.scaling import networks
from simclr_keras.distribute import replicas

_WARM_UP = 2  # runs


def all_reduce_seconds(strategy, size, repeats):
    """Seconds that the sum of `size` bytes over the replicas takes."""
    rounds = min(max(2**22 // size, 2), 16)

    def body(x):
        for _ in range(rounds):
            x = replicas.all_reduce(x)
        return x

    run = _Isolated(strategy, body, tf.ones([size // 4]))
    return [seconds / rounds for seconds in run.seconds(repeats)]


def parts(strategy, training, repeats):
    """What a training step exchanges, by what it is for.

    Args:
        strategy: strategy of several processes.
        training: `Training` under it.
        repeats: how often to measure.

    Returns:
        Dict of part -> dict of `collectives`, their number; `bytes` of all
        tensors that are reduced; and `seconds`, a list.
    """
    model = training.model
    z = tf.ones([training.batch, 2, model.projection_head.out_dim])
    moments = [tf.ones([2, c]) for c in networks.norm_channels(model)]
    gradients = [tf.ones(v.shape) for v in model.trainable_variables]
    runs = {
        "z": _Isolated(strategy, _gather_and_back, z),
        "batch norm": _Isolated(strategy, _norms, *moments),
        "gradients": _Isolated(strategy, _sum_of_all, *gradients),
    }
    rest = collectives(training.step_graph)
    for run in runs.values():
        rest.subtract(run.collectives)
    if min(rest.values()) < 0:
        raise RuntimeError(
            f"the training step lacks collectives of these parts: {-rest}"
        )
    others = [tf.ones([n], dtype) for n, dtype in rest.elements()]
    if others:
        runs["logged metrics"] = _Isolated(strategy, _one_by_one, *others)
    return {
        name: {
            "collectives": sum(run.collectives.values()),
            "bytes": run.bytes,
            "seconds": run.seconds(repeats),
        }
        for name, run in runs.items()
    }


def collectives(graph):
    """Counter of (elements, dtype) of the collectives in a graph."""
    return collections.Counter(
        (op.inputs[0].shape.num_elements(), op.inputs[0].dtype)
        for op in graph.get_operations()
        if op.type.startswith("Collective")
    )


def _gather_and_back(z):
    with tf.GradientTape() as tape:
        tape.watch(z)
        everything = replicas.gather(z)
        loss = tf.reduce_sum(everything * everything)
    return tape.gradient(loss, z)


def _norms(*moments):
    """Forward through all layers one by one, as a network does, and back."""
    done = []
    for local in moments:
        with tf.control_dependencies(done):
            done = [replicas.gather(local[tf.newaxis])]
    for sums in reversed(moments):
        with tf.control_dependencies(done):
            done = [replicas.all_reduce(tf.identity(sums))]
    return done


def _sum_of_all(*tensors):
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))


def _one_by_one(*tensors):
    done = []
    for tensor in tensors:
        with tf.control_dependencies(done):
            done = [replicas.all_reduce(tf.identity(tensor))]
    return done


class _Isolated:
    """A function of tensors that all replicas run, and nothing else."""

    def __init__(self, strategy, body, *tensors):
        def replica(*tensors):
            # A collective wants a device, which an argument does not have.
            return body(*map(tf.identity, tensors))

        @functools.partial(tf.function, autograph=False)
        def run(*tensors):
            return strategy.run(replica, args=tensors)

        self._run, self._tensors = run, tensors
        graph = run.get_concrete_function(*tensors).graph
        self.collectives = collectives(graph)
        self.bytes = sum(
            elements * dtype.size * count
            for (elements, dtype), count in self.collectives.items()
        )

    def seconds(self, repeats):
        """Seconds of each of some runs, without the first ones."""
        seconds = []
        for _ in range(_WARM_UP + repeats):
            start = time.perf_counter()
            result = self._run(*self._tensors)
            # Asks for the result as well: it is there when it can be read.
            np.ravel(tf.nest.flatten(result)[0])
            seconds.append(time.perf_counter() - start)
        return seconds[_WARM_UP:]
