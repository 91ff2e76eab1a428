"""Loads a trained or exported model as a Keras model, to train it further."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import old_runs
from simclr_keras import paths
from simclr_keras import training
from simclr_keras.serving import card
from simclr_keras.serving import signatures
from simclr_keras.serving import weights_file


@dataclasses.dataclass(frozen=True)
class Loaded:
    """Result of `load`.

    Attributes:
        model: the whole `keras.Model`: a `SimCLR`, a `Classifier`, or an
            encoder alone.
        encoder: `keras.Model` from images to h.
        projection_head: layer from h to z; None if the model has none.
        settings: dict from names to values, both strings, of the flags that it
            was trained with; empty if unknown.
    """

    model: keras.Model
    encoder: keras.Model
    projection_head: Any
    settings: dict


def load(path: str | os.PathLike, encoder: keras.Model | None = None) -> Loaded:
    """Loads a trained or exported model, for training or use.

    Call it in the scope of a strategy to create the variables there.

    Args:
        path: local, or such as `gs://bucket/run`: a run directory (its newest
            intact checkpoint is loaded); a checkpoint in it; a `.keras` file;
            an export, given by the folder of a version or by the directory of
            all versions (the highest is loaded); or a weights file,
            `.weights.h5`, of an encoder or of a model that contains one.
        encoder: `keras.Model` of the architecture of a weights file, which
            does not describe its model. Its weights are replaced. Defaults to
            None, for all other files.

    Returns:
        `Loaded`. A model is compiled as it was saved. The model of an export is
        not compiled. Nor is one whose loss or optimizer is not registered with
        Keras; a warning says so.

    Raises:
        ValueError: there is nothing of this kind at `path`; the export has no
            configuration; the weights do not fit `encoder`.

    Example:

        parts = sk.load("runs/cifar10")
        model = sk.Classifier(parts.encoder, num_classes=3)
        parts = sk.load("r18.weights.h5", encoder=sk.ResNet(18))
    """
    if weights_file.is_weights_file(path) != (encoder is not None):
        raise ValueError(
            "encoder must be given for a file of weights (.weights.h5), and for"
            f" nothing else. Received: path={str(path)!r}, encoder={encoder}"
        )
    if encoder is not None:
        weights_file.read(path, encoder)
        return Loaded(encoder, encoder, None, {})
    training.register_classes()
    path = paths.as_path(path)
    folder = _export(path)
    if folder is not None:
        model = _read(folder)
        settings = json.loads((folder / card.JSON).read_text("utf-8"))["run"]
    else:
        model = training.load_model(path)
        run = training.find_run(path)
        settings = {} if run is None else run.settings()
    return Loaded(
        model,
        getattr(model, "encoder", model),
        getattr(model, "projection_head", None),
        dict(settings or {}),
    )


def read_card(path: str | os.PathLike) -> tuple | None:
    """Reads the model card of an export, to export the model again.

    Args:
        path: see `load`.

    Returns:
        Triple of its `class_names`, or else its `target_names`, its
        `pixel_range`, either possibly None, and the dict `about` of its
        `export`; or None if `path` is not an export.
    """
    folder = _export(paths.as_path(path, "path"))
    if folder is None:
        return None
    contents = json.loads((folder / card.JSON).read_text("utf-8"))
    about = {name: contents.get(name) for name in card.SECTIONS}
    # Exports of earlier releases have no `pixel_range` and no `target_names`.
    names = contents["class_names"] or contents.get("target_names")
    return names, contents.get("pixel_range"), about


def _export(path):
    """Folder of an export's version: the path itself or its highest version.

    None if the path is not an export.
    """
    if (path / "saved_model.pb").is_file():
        return path
    # Versions in other formats, which cannot be loaded, may lie beside them.
    numbers = [
        int(folder.name)
        for folder in (path.glob("[0-9]*") if path.is_dir() else ())
        if folder.name.isdigit() and (folder / "saved_model.pb").is_file()
    ]
    return path / str(max(numbers)) if numbers else None


def _read(folder):
    """Rebuilds the Keras model of an export from configuration and variables.

    The graph of the SavedModel is not read.
    """
    config = folder / signatures.CONFIG
    if not config.is_file():
        raise ValueError(
            "path must be an export with the configuration of its model; load"
            " the run directory that it was made from. Received:"
            f" {str(folder)!r}, which has no {signatures.CONFIG}"
        )
    description = old_runs.complete(json.loads(config.read_text("utf-8")))
    model = training.deserialize(description, config)
    weights = compat.tensorflow_weights(model)
    checkpoint = tf.train.Checkpoint(**{signatures.WEIGHTS: weights})
    prefix = str(folder / "variables" / "variables")
    try:
        status = checkpoint.read(prefix)
        status.assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError) as error:
        raise ValueError(
            "path must be an export whose variables are those of its model."
            f" Received: {str(folder)!r}, where {str(error).splitlines()[0]}"
        ) from error
    compat.refresh_statistics(model)
    return model
