"""Loads the model of a run, of one of its checkpoints or of a `.keras` file."""

from __future__ import annotations

import importlib
from typing import Any

import keras

from simclr_keras import old_runs
from simclr_keras import paths
from simclr_keras.training import checkpointing
from simclr_keras.training import safe_config
from simclr_keras.training import state

_SUBPACKAGES = ("contrastive", "models", "networks", "optimizers", "views")


def register_classes() -> None:
    """Registers all classes of this package with Keras, which can load them."""
    for name in _SUBPACKAGES:
        importlib.import_module(f"simclr_keras.{name}")


def load_model(path: paths.PathLike) -> keras.Model:
    """Loads the model of a run, a checkpoint or a `.keras` file.

    Args:
        path: a run directory, a checkpoint in it (`best.npz` is the best one),
            or a `.keras` file.

    Returns:
        The `keras.Model`, compiled as it was if its loss and optimizer are
        registered with Keras, else not compiled. For a run directory it is the
        model of the newest intact checkpoint.

    Raises:
        ValueError: there is no model at `path`.
    """
    register_classes()
    path = paths.as_path(path, "checkpoint")
    if path.is_file() and path.suffix == ".keras":
        with paths.local_copy(path) as local:
            return safe_config.load_keras_file(local)
    problem = checkpointing.problem_of(path) if path.is_file() else None
    if path.is_file() and problem is None:
        return _load(path)
    newest = checkpointing.newest_intact(path / "checkpoints")
    if newest is None:
        lacks = "does not exist"
        if path.exists():
            lacks = "has none"
            if problem is not None:
                lacks = f"is none of these, or damaged ({problem})"
        raise ValueError(
            "checkpoint must be a run directory with a checkpoint, an intact"
            " .npz checkpoint in it or a .keras file (--checkpoint and sk.load"
            " take exports and files of weights, .weights.h5, too). Received:"
            f" {str(path)!r}, which {lacks}."
        )
    return _load(newest)


def untrained_model(
    config: dict[str, Any], path: paths.PathLike
) -> keras.Model:
    """Makes the model of a checkpoint, with new weights.

    Args:
        config: the model's configuration, from `checkpointing.read`, written by
            any release.
        path: path of the checkpoint, for error messages.
    """
    register_classes()
    return safe_config.deserialize(old_runs.complete(config), path)


def _load(checkpoint):
    arrays, _, config = checkpointing.read(checkpoint)
    model = untrained_model(config, checkpoint)
    state.write_model(model, arrays)
    return model
