"""A file of weights -> an encoder that has them."""

import collections
import pathlib
import tempfile

import h5py

from simclr_keras import paths

SUFFIX = ".weights.h5"


def is_weights_file(path):
    """Whether a path names a file of weights, there or not."""
    return str(path).endswith(SUFFIX)


def read(path, encoder):
    """Puts the weights of a file into an encoder of the same architecture.

    Args:
        path: what `save_weights` of an encoder wrote, or of a model that has
            one as its `encoder`, such as `SimCLR` and `Classifier`.
        encoder: `keras.Model`, built. Nothing is changed where this fails.

    Raises:
        ValueError: there is no file of weights at `path`, or it holds those of
            another network.
    """
    path = paths.as_path(path, "checkpoint")
    if paths.is_remote(path) and not path.is_file():
        raise _unreadable(path, "does not exist")
    with paths.local_copy(path) as local, _open(path, local) as file:
        group = _part(path, file, encoder)
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


def _part(path, file, encoder):
    """The file, or the model in it that has arrays of the encoder's shapes."""
    models = [file]
    file.visititems(
        lambda name, item: (
            models.append(item)
            if isinstance(item, h5py.Group) and "layers" in item
            else None
        )
    )
    ours = collections.Counter(tuple(v.shape) for v in encoder.weights)
    found = [_shapes(model) for model in models]
    if ours in found:
        return models[found.index(ours)]
    lacks = [list(shape) for shape in ours - found[0]]
    more = [list(shape) for shape in found[0] - ours]
    raise ValueError(
        "checkpoint must hold the weights of the same architecture as the"
        f" encoder, {encoder.name} with {len(encoder.weights)} variables."
        f" Received: {str(path)!r} with {sum(found[0].values())}; shapes that"
        f" only the encoder has: {lacks[:3]}, only the file: {more[:3]}"
    )


def _shapes(group):
    """How often each shape of an array occurs in a group."""
    found = collections.Counter()
    group.visititems(
        lambda name, item: (
            found.update([tuple(item.shape)])
            if isinstance(item, h5py.Dataset)
            else None
        )
    )
    return found
