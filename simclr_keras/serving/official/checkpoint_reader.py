"""Reads the variables of a TensorFlow checkpoint by their names.

Only the values of variables and the table of their names are read: no graph,
and nothing that could be executed.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from simclr_keras import paths

_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SAVED_MODEL = "variables/variables"


@dataclasses.dataclass(frozen=True)
class Stored:
    """A variable in a file.

    Attributes:
        name: name in the program that wrote it, such as
            `base_model/conv2d_3/kernel`.
        key: key of the variable in the file.
        shape: list of integers.
        in_model: whether it is part of the model; True if the file does not
            tell.
    """

    name: str
    key: str
    shape: list
    in_model: bool = True


class Checkpoint:
    """A checkpoint that is open for reading.

    Args:
        path: prefix of a checkpoint (`.../ckpt-1234`), its `.index` file, a
            directory of checkpoints (the newest is read), or a SavedModel (only
            its variables are read).

    Attributes:
        prefix: path prefix of the checkpoint.
        variables: list of `Stored`, sorted by name.

    Raises:
        ValueError: there is no checkpoint at `path`, or it cannot be read.
    """

    def __init__(self, path: paths.PathLike):
        self.prefix = _prefix(path)
        try:
            self._reader = tf.train.load_checkpoint(self.prefix)
            shapes = self._reader.get_variable_to_shape_map()
            if _OBJECTS in shapes:
                self.variables = _read_object_graph(self._reader, shapes)
            else:
                self.variables = [
                    Stored(key, key, list(shape))
                    for key, shape in shapes.items()
                ]
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        self.variables.sort(key=lambda stored: stored.name)

    def read(self, stored: Stored) -> np.ndarray:
        """Returns the value of a `Stored`, an array."""
        try:
            return self._reader.get_tensor(stored.key)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error):
        lines = str(error).splitlines() or [type(error).__name__]
        return ValueError(
            "checkpoint must be one that TensorFlow wrote, whole and intact."
            f" Received: {self.prefix!r}, of which TensorFlow says:"
            f" {lines[0][:300]}"
        )


# TensorFlow's reader turns some of its errors into Python's. If the table of
# names is damaged, parsing it raises a DecodeError, which is a ValueError.
_UNREADABLE = (
    tf.errors.OpError,
    RuntimeError,
    ValueError,
    IndexError,
    KeyError,
)


def _prefix(path):
    path = paths.as_path(path, "checkpoint")
    if path.is_dir():
        if (path / f"{_SAVED_MODEL}.index").is_file():
            return str(path / _SAVED_MODEL)
        newest = tf.train.latest_checkpoint(str(path))
        if newest:
            return newest
        index_files = sorted(path.glob("*.index"))
        if len(index_files) == 1:
            return str(index_files[0])[: -len(".index")]
    name = str(path)
    for ending in (".index", ".data-00000-of-00001", ".meta"):
        if name.endswith(ending):
            name = name[: -len(ending)]
    if paths.as_path(f"{name}.index").is_file():
        return name
    state = "which does not exist"
    if path.exists():
        state = (
            "in which there is none"
            if path.is_dir()
            else "which is none of these"
        )
    raise ValueError(
        "checkpoint must be the prefix of a TensorFlow checkpoint (the name of"
        " its .index file without the ending), a directory that holds one, or"
        f" a SavedModel. Received: {str(path)!r}, {state}."
    )


def _read_object_graph(reader, shapes):
    """Variables of a TensorFlow 2 checkpoint, which stores a graph of objects.

    A key is a path in this graph, whose order depends on the version of
    TensorFlow; the table in the file has the names of the variables.
    """
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor(_OBJECTS))
    model_nodes = _nodes_of_model(graph.nodes)
    variables, done = [], {_OBJECTS}
    for number, node in enumerate(graph.nodes):
        for attribute in node.attributes:
            key = attribute.checkpoint_key
            if key not in shapes or key in done:
                continue
            done.add(key)
            name = attribute.full_name.split(":")[0] or key
            variables.append(
                Stored(name, key, list(shapes[key]), number in model_nodes)
            )
    variables += [
        Stored(key, key, list(shape), False)
        for key, shape in shapes.items()
        if key not in done
    ]
    return variables


def _nodes_of_model(nodes):
    """Numbers of the nodes below the root's child `model`.

    Without such a child, the numbers of all nodes.
    """
    waiting = [
        child.node_id
        for child in (nodes[0].children if nodes else ())
        if child.local_name == "model"
    ]
    if not waiting:
        return range(len(nodes))
    reached = set()
    while waiting:
        number = waiting.pop()
        if number not in reached:
            reached.add(number)
            waiting += [child.node_id for child in nodes[number].children]
    return reached
