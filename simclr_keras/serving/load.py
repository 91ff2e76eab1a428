"""What was trained or exported -> its parts, to go on with."""

import dataclasses
import json
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
    """What `load` gives back.

    Attributes:
        model: the whole `keras.Model`: a `SimCLR`, a `Classifier`, or an
            encoder alone.
        encoder: `keras.Model` from images to h.
        projection_head: from h to z; None where the model has none.
        settings: dict of the flags that it was trained with, name -> string;
            empty where they are not known.
    """

    model: keras.Model
    encoder: keras.Model
    projection_head: Any
    settings: dict


def load(path, encoder=None):
    """Loads a model that was trained or exported, to go on with it.

    Call it in the scope of a strategy to have it there.

    Args:
        path: local, or such as `gs://bucket/run`: a run directory, of which
            the newest intact checkpoint is taken; a checkpoint in it; a
            `.keras` file; an export: the folder of a version, or the directory
            of the versions, of which the highest is taken; or a file of
            weights, `.weights.h5`, of an encoder or of a model around one.
        encoder: for a file of weights, which does not say of what they are:
            `keras.Model` of that architecture. It is given its weights and
            given back. Defaults to None, for all else.

    Returns:
        `Loaded`. A model is compiled as it was saved, that of an export not.

    Raises:
        ValueError: there is nothing of these at `path`; the export does not
            hold its configuration; the weights are not those of `encoder`.

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


def read_card(path):
    """What an export says of itself, for another export of it.

    Args:
        path: see `load`.

    Returns:
        Its class names and its range of pixels, either of them None, and the
        dict `about` that it was made with; None where `path` is no export.
    """
    folder = _export(paths.as_path(path, "path"))
    if folder is None:
        return None
    contents = json.loads((folder / card.JSON).read_text("utf-8"))
    about = {name: contents.get(name) for name in card.SECTIONS}
    # Exports of earlier releases know no range.
    return contents["class_names"], contents.get("pixel_range"), about


def _export(path):
    """Folder of an export's version, or None."""
    if (path / "saved_model.pb").is_file():
        return path
    # Versions of other formats may lie beside those that can be gone on with.
    numbers = [
        int(each.name)
        for each in (path.glob("[0-9]*") if path.is_dir() else ())
        if each.name.isdigit() and (each / "saved_model.pb").is_file()
    ]
    return path / str(max(numbers)) if numbers else None


def _read(folder):
    """The Keras model of an export: its configuration and its variables.

    The graph of the SavedModel is not read.
    """
    config = folder / signatures.CONFIG
    if not config.is_file():
        raise ValueError(
            "path must be an export with the configuration of its model; load"
            " the run directory that it was made from. Received:"
            f" {str(folder)!r}, which has no {signatures.CONFIG}"
        )
    described = old_runs.complete(json.loads(config.read_text("utf-8")))
    model = training.deserialize(described, config)
    weights = [compat.tensorflow_variable(v) for v in compat.weights_of(model)]
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
    return model
