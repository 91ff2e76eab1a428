"""Loads official SimCLR checkpoints into our networks."""

from __future__ import annotations

import dataclasses
import os

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.networks import ProjectionHead
from simclr_keras.networks import ResNet
from simclr_keras.serving.official import architecture
from simclr_keras.serving.official import variable_names
from simclr_keras.serving.official.checkpoint_reader import Checkpoint


@dataclasses.dataclass(frozen=True)
class Official:
    """Result of `load_official`.

    Attributes:
        encoder: `ResNet` with the weights of the file.
        projection_head: `ProjectionHead` with the weights of the file; of mode
            "none" if the file has none.
        supervised_head: linear `keras.layers.Dense` from h to logits, or None.
        variables: list of `(name, shape, status)`, one for each variable of the
            file. The status is the name of our variable that got its value, or
            the reason why it was left out.
    """

    encoder: ResNet
    projection_head: ProjectionHead
    supervised_head: keras.layers.Dense | None
    variables: list


def load_official(
    path: str | os.PathLike, sk_ratio: float | None = None
) -> Official:
    """Loads a checkpoint of the official SimCLR, version 1 or 2.

    It may be one of TensorFlow 1 (variables by name), of TensorFlow 2 (a graph
    of objects), or a SavedModel. Only variables are read: no graph and no code
    of the file is executed. Depth, width, selective kernels,
    squeeze-and-excitation, stem and heads are inferred from the shapes.

    Args:
        path: prefix of the checkpoint (`.../model.ckpt-250228`), its `.index`
            file, a directory of checkpoints (the newest is read), or the
            directory of a SavedModel.
        sk_ratio: `sk_ratio` of the encoder. Default None: inferred from the
            shapes; 0 for a ResNet-18 or -34 for small images, whose shapes are
            the same with and without selective kernels.

    Returns:
        `Official`.

    Raises:
        ValueError: there is no checkpoint at `path`, it is damaged, or it is
            not that of a SimCLR model; a variable is unknown.

    Example:

        official = sk.serving.load_official("downloads/r50_1x_sk0")
        h = official.encoder(images)  # float, in [0, 1]

    References:
        Chen et al. 2020, arXiv 2002.05709 and 2006.10029.
    """
    checkpoint = Checkpoint(path)
    status = {
        v.key: variable_names.reason_to_skip(v) for v in checkpoint.variables
    }
    unknown = [
        v
        for v in checkpoint.variables
        if status[v.key] == variable_names.UNKNOWN
    ]
    weights = [v for v in checkpoint.variables if status[v.key] is None]
    if unknown or not weights:
        others = [v.name for v in unknown or checkpoint.variables]
        raise ValueError(
            "checkpoint must be one of the official SimCLR. Received:"
            f" {checkpoint.prefix!r} with {len(others)} variables that have no"
            f" place in it, such as {', '.join(others[:3])}"
        )
    parameters = variable_names.sort_by_layer(weights)
    values = {}  # from keys to arrays; read before any network is built
    for stored in weights:
        values[stored.key] = checkpoint.read(stored)
        _check_dtype(stored, values[stored.key])
    encoder = _encoder(parameters, sk_ratio)
    targets = list(_encoder_targets(encoder))
    head, supervised = _heads(parameters, encoder.output_shape[-1])
    targets += _head_targets(head, supervised)
    for position, name, layer in targets:
        _assign(layer, parameters.pop(position, {}), values, name, status)
    if parameters:
        rest = sorted(
            v.name for layer in parameters.values() for v in layer.values()
        )
        raise ValueError(
            "checkpoint must hold what our network has and nothing else."
            f" Received: {len(rest)} more variables, such as {rest[0]}"
        )
    variables = [(v.name, v.shape, status[v.key]) for v in checkpoint.variables]
    return Official(encoder, head, supervised, variables)


def _check_dtype(stored, value):
    if value.dtype.kind != "f" and value.dtype != tf.bfloat16.as_numpy_dtype:
        raise ValueError(
            "checkpoint must hold weights of a floating type. Received:"
            f" {stored.name} of {value.dtype}"
        )


def _in_order(parameters, kind):
    """The parameters of all layers of a kind, in the order of the layers."""
    count = sum(position[0] == kind for position in parameters)
    missing = [n for n in range(count) if (kind, n) not in parameters]
    if missing:
        raise ValueError(
            f"checkpoint must hold all layers of the projection head. Received:"
            f" none for its layer {missing[0]}"
        )
    return [parameters[kind, n] for n in range(count)]


def _encoder(parameters, sk_ratio):
    convs = _in_order(parameters, "conv")
    kernels = [conv["kernel"].shape for conv in convs if "kernel" in conv]
    biased = ["bias" in conv for conv in convs if "kernel" in conv]
    arguments = architecture.resnet_arguments(kernels, biased)
    if sk_ratio is not None:
        arguments["sk_ratio"] = sk_ratio
    return ResNet(**arguments)


def _encoder_targets(encoder):
    """Yields position in the file, name and layer for layers with weights."""
    count = {"conv": 0, "norm": 0}
    for layer in encoder.layers_in_forward_order():
        if layer.weights:
            kind = "conv" if hasattr(layer, "kernel") else "norm"
            yield (kind, count[kind]), f"encoder/{layer.name}", layer
            count[kind] += 1


def _heads(parameters, features):
    """The projection head, and the supervised head or None, both built."""
    dense = _in_order(parameters, "dense")
    norms = _in_order(parameters, "head norm")
    head = ProjectionHead(
        **architecture.head_arguments(
            [layer["kernel"].shape for layer in dense if "kernel" in layer],
            ["beta" in norm for norm in norms],
        ),
        name="projection_head",
    )
    head.build((None, features))
    supervised = None
    if ("supervised",) in parameters:
        kernel = parameters["supervised",].get("kernel")
        classes = kernel.shape[-1] if kernel else 0
        supervised = keras.layers.Dense(classes, name="supervised_head")
        supervised.build((None, features))
    return head, supervised


def _head_targets(head, supervised):
    targets = []
    for n, pair in enumerate(zip(head.dense_layers, head.norm_layers)):
        for kind, layer in zip(("dense", "head norm"), pair):
            targets.append(((kind, n), f"projection_head/{layer.name}", layer))
    if supervised is not None:
        targets.append((("supervised",), supervised.name, supervised))
    return targets


def _assign(layer, stored, values, name, status):
    """Assigns the values of a layer's variables, and records their status."""
    variables = {
        compat.variable_path(v).split("/")[-1]: v for v in layer.weights
    }
    if set(variables) != set(stored) or any(
        tuple(variables[p].shape) != tuple(s.shape) for p, s in stored.items()
    ):
        ours = {p: list(v.shape) for p, v in variables.items()}
        theirs = {p: list(s.shape) for p, s in stored.items()}
        raise ValueError(
            "checkpoint must fit the network that its shapes describe:"
            f" {name} has {ours}. Received: {theirs}"
        )
    for parameter, variable in variables.items():
        key = stored[parameter].key
        variable.assign(tf.cast(values[key], variable.dtype))
        status[key] = f"{name}/{parameter}"
