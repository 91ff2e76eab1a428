"""A TensorFlow checkpoint -> the variables in it, by their names.

Only variable data is read, and the table that says which is which: no graph,
and nothing that could be executed.
"""

import dataclasses

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from simclr_keras import paths

_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SAVED_MODEL = "variables/variables"


@dataclasses.dataclass(frozen=True)
class Stored:
    """A variable in a file.

    Attributes:
        name: that it had in the program that wrote it, such as
            `base_model/conv2d_3/kernel`.
        key: that the file has it under.
        shape: list of integers.
        part: whether it is part of the model, as far as the file tells.
    """

    name: str
    key: str
    shape: list
    part: bool = True


class Checkpoint:
    """An opened file.

    Args:
        path: prefix of a checkpoint (`.../ckpt-1234`), its `.index` file, a
            directory of checkpoints, of which the newest is taken, or a
            SavedModel, of which the variables alone are read.

    Attributes:
        prefix: of the checkpoint.
        variables: list of `Stored`, sorted by name.

    Raises:
        ValueError: there is none at `path`, or it cannot be read.
    """

    def __init__(self, path):
        self.prefix = _prefix(path)
        try:
            self._reader = tf.train.load_checkpoint(self.prefix)
            shapes = self._reader.get_variable_to_shape_map()
            if _OBJECTS in shapes:
                self.variables = _of_objects(self._reader, shapes)
            else:
                self.variables = [
                    Stored(key, key, list(shape))
                    for key, shape in shapes.items()
                ]
        except _UNREADABLE as error:
            raise self._broken(error) from error
        self.variables.sort(key=lambda stored: stored.name)

    def read(self, stored):
        """The value of a `Stored`, an array."""
        try:
            return self._reader.get_tensor(stored.key)
        except _UNREADABLE as error:
            raise self._broken(error) from error

    def _broken(self, error):
        lines = str(error).splitlines() or [type(error).__name__]
        return ValueError(
            "checkpoint must be one that TensorFlow wrote, whole and intact."
            f" Received: {self.prefix!r}, of which TensorFlow says:"
            f" {lines[0][:300]}"
        )


# TensorFlow's reader turns some of its errors into Python's own. A table that
# is not one is no message of a protocol buffer: a DecodeError, a ValueError.
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
        found = sorted(path.glob("*.index"))
        if len(found) == 1:
            return str(found[0])[: -len(".index")]
    name = str(path)
    for ending in (".index", ".data-00000-of-00001", ".meta"):
        if name.endswith(ending):
            name = name[: -len(ending)]
    if paths.as_path(f"{name}.index").is_file():
        return name
    state = "which does not exist"
    if path.exists():
        state = "in which there is none" if path.is_dir() else "which is none"
    raise ValueError(
        "checkpoint must be the prefix of a TensorFlow checkpoint (the name of"
        " its .index file without the ending), a directory that holds one, or"
        f" a SavedModel. Received: {str(path)!r}, {state}."
    )


def _of_objects(reader, shapes):
    """The variables of a checkpoint that is a graph of objects.

    A key says where an object hung, in an order that versions of TensorFlow
    change; the table says which name the variable had.
    """
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor(_OBJECTS))
    part = _reached(graph.nodes)
    variables, known = [], {_OBJECTS}
    for number, node in enumerate(graph.nodes):
        for attribute in node.attributes:
            key = attribute.checkpoint_key
            if key not in shapes or key in known:
                continue
            known.add(key)
            name = attribute.full_name.split(":")[0] or key
            variables.append(
                Stored(name, key, list(shapes[key]), number in part)
            )
    variables += [
        Stored(key, key, list(shape), False)
        for key, shape in shapes.items()
        if key not in known
    ]
    return variables


def _reached(nodes):
    """Numbers of the nodes that hang below `model`, or of all without one."""
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
