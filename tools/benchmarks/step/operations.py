"""Where a training step's time goes: a CPU's time by kind of operation."""

import collections
import pathlib
import re
import tempfile

import tensorflow as tf

from benchmarks import measure

# The first pattern that an operation's type contains names its kind.
_KINDS = (
    ("convolution, gradient of the kernel", "Conv.*BackpropFilter"),
    ("convolution, gradient of the input", "Conv.*BackpropInput"),
    ("convolution, forward", "Conv2D"),
    ("products of matrices", "MatMul"),
    ("fused batch norm, with a ReLU or not", "FusedBatchNorm"),
    ("ReLU", "Relu"),
    ("casts", "^Cast$"),
    ("padding", "^Pad"),
)
REST = "the rest: optimizer, loss, batch norm that is not fused, sums"
# What a trace calls an operation; other work has spaces or two colons.
_OPERATION = re.compile(r"[^:\s]+:(?P<type>\w+)")


def kind_of(operation):
    """Name of the kind that a type of operation, such as `MatMul`, is of."""
    for kind, pattern in _KINDS:
        if re.search(pattern, operation):
            return kind
    return REST


def seconds(training):
    """What a CPU does in a step of a `trainings.Training`.

    Returns:
        Dict of kind -> seconds per step, the sum over operations, of which
        two may run at the same time.
    """
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        try:
            steps = training.run(measure.Timer())
        finally:
            tf.profiler.experimental.stop()
        files = pathlib.Path(folder).rglob("*.xplane.pb")
        total = collections.Counter()
        for file in files:
            total.update(_read(file.read_bytes()))
    return {kind: spent / steps for kind, spent in total.items()}


def _read(trace):
    """Seconds by kind of a trace in the format of TensorFlow's profiler."""
    # Only here: it is not part of what TensorFlow promises to keep.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(trace)
    total = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                operation = _OPERATION.fullmatch(name)
                if operation:
                    kind = kind_of(operation["type"])
                    total[kind] += event.duration_ps / 1e12
    return total
