"""Reads a weights file into an encoder."""

from __future__ import annotations

import collections
import os
import pathlib
import tempfile

import h5py
import keras

from simclr_keras import paths

SUFFIX = ".weights.h5"


def is_weights_file(path: str | os.PathLike) -> bool:
    """Whether a path has the suffix of a weights file, existing or not."""
    return str(path).endswith(SUFFIX)


def read(path: paths.PathLike, encoder: keras.Model) -> None:
    """Loads the weights of a file into an encoder of the same architecture.

    Args:
        path: file that `save_weights` wrote, of an encoder or of a model with
            an attribute `encoder`, such as `SimCLR` and `Classifier`.
        encoder: `keras.Model`, built. It is not changed if this fails.

    Raises:
        ValueError: there is no weights file at `path`, or its weights are
            those of another architecture.
    """
    path = paths.as_path(path, "checkpoint")
    if paths.is_remote(path) and not path.is_file():
        raise _unreadable(path, "does not exist")
    with paths.local_copy(path) as local, _open(path, local) as file:
        group = _find_encoder(path, file, encoder)
        if group is file:
            encoder.load_weights(local)
            return
        with tempfile.TemporaryDirectory() as folder:
            part = pathlib.Path(folder) / f"encoder{SUFFIX}"
            with h5py.File(part, "w") as copy:
                for name in group:
                    group.copy(name, copy)
            encoder.load_weights(part)


def _open(path, local):
    try:
        return h5py.File(local, "r")
    except OSError as error:
        problem = "is not intact" if local.is_file() else "does not exist"
        raise _unreadable(path, f"{problem} ({error})") from error


def _unreadable(path, problem):
    return ValueError(
        "checkpoint must be a file of weights as save_weights writes it."
        f" Received: {str(path)!r}, which {problem}"
    )


def _find_encoder(path, file, encoder):
    """The file, or the group in it, whose arrays have the encoder's shapes."""
    models = [file]
    file.visititems(
        lambda name, item: (
            models.append(item)
            if isinstance(item, h5py.Group) and "layers" in item
            else None
        )
    )
    expected = collections.Counter(tuple(v.shape) for v in encoder.weights)
    shapes = [_shapes(model) for model in models]
    if expected in shapes:
        return models[shapes.index(expected)]
    missing = [list(shape) for shape in expected - shapes[0]]
    extra = [list(shape) for shape in shapes[0] - expected]
    raise ValueError(
        "checkpoint must hold the weights of the same architecture as the"
        f" encoder, {encoder.name} with {len(encoder.weights)} variables."
        f" Received: {str(path)!r} with {sum(shapes[0].values())}; shapes that"
        f" only the encoder has: {missing[:3]}, only the file: {extra[:3]}"
    )


def _shapes(group):
    """Counts the shapes of the arrays in a group."""
    shapes = collections.Counter()
    group.visititems(
        lambda name, item: (
            shapes.update([tuple(item.shape)])
            if isinstance(item, h5py.Dataset)
            else None
        )
    )
    return shapes
