"""Writes the model card of an export: `model_card.json` and `README.md`."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import networks
from simclr_keras.evaluation import markdown_table
from simclr_keras.images import CenterCrop
from simclr_keras.serving.signatures import inputs_of

JSON, TEXT = "model_card.json", "README.md"
# Sections about the training, which the caller of `export` may fill, in order.
SECTIONS = ("license", "data", "metrics", "run")
_FORMATS = {
    "saved_model": "a TensorFlow SavedModel",
    "onnx": "an ONNX file, `model.onnx`",
    "tflite": "a TensorFlow Lite file, `model.tflite`",
}


def make(
    name: str,
    version: int,
    model: keras.Model,
    crop: CenterCrop,
    names: Mapping[str, Sequence[str] | None],
    signatures: Mapping[str, Any],
    how: Mapping[str, Any],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Makes the card as a dict that JSON can represent.

    Args:
        name: name of the model.
        version: number of the version.
        model: the exported `keras.Model`.
        crop: `CenterCrop` of the export.
        names: dict with `class_names` and `target_names` of `export`, each K
            names or None.
        signatures: dict from names to concrete functions.
        how: dict with `format`; `precision`, the dtype of computations;
            `trained_in`, their dtype in training; `extra_operations`, which a
            runtime needs besides its built-in ones; `pixel_range` and
            `max_pixels` of `export`.
        about: dict with some of `SECTIONS`.
    """
    import simclr_keras

    encoder = getattr(model, "encoder", model)
    outputs = signatures["serving_default"].structured_outputs
    return {
        "name": name,
        "version": version,
        "model": type(model).__name__,
        "encoder": encoder.name,
        "encoder_parameters": encoder.count_params(),
        "embedding_size": outputs["embedding"].shape[-1],
        **how,
        **names,
        **_outputs(model),
        "image_size": list(crop.size),
        "channels": networks.image_channels(model),
        "crop_proportion": crop.crop_proportion,
        "signatures": {
            name: {
                "inputs": _described(inputs_of(function)),
                "outputs": _described(function.structured_outputs),
            }
            for name, function in signatures.items()
        },
        **{section: about.get(section) for section in SECTIONS},
        "made_with": {
            "simclr_keras": simclr_keras.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }


def _outputs(model):
    """Meaning of a classifier's outputs, and the scale of its targets."""
    names = ("activation", "target_mean", "target_std")
    if not hasattr(model, "logits_of"):
        return dict.fromkeys(names)
    return {name: getattr(model, name) for name in names}


def write(directory: pathlib.Path, card: dict[str, Any]) -> None:
    """Writes both files into a directory, a `pathlib.Path`."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (directory / JSON).write_text(text, encoding="utf-8")
    (directory / TEXT).write_text(_text(card), encoding="utf-8")


def _described(specs):
    return {
        name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
        for name, spec in sorted(specs.items())
    }


def _text(card):
    height, width = card["image_size"]
    crop = "resized without a crop"
    if card["crop_proportion"] is not None:
        crop = (
            f"cut to the central {card['crop_proportion']:.1%} of the largest"
            " box of that shape and resized"
        )
    names = card["class_names"]
    parts = [
        f"# {card['name']}, version {card['version']}",
        f"A {card['model']} on the encoder {card['encoder']}"
        f" ({card['encoder_parameters']:,} parameters), as"
        f" {_FORMATS[card['format']]}. {_precision(card)}",
        "## Input and output",
        f"{_images(card)} Inside they are {crop} to"
        f" {height} x {width} pixels; batch normalisation uses its moving"
        " statistics, and nothing is random. An embedding has"
        f" {card['embedding_size']} numbers.",
        _signatures(card["signatures"]),
    ]
    if card["max_pixels"] is not None:
        parts.append(
            f"An encoded image of more than {card['max_pixels']:,} pixels is"
            " refused before it is decoded."
        )
    if names is not None:
        parts += [f"## {_kind(card, len(names))}", ", ".join(names)]
    if card["target_names"] is not None:
        parts += ["## Predictions", _targets(card)]
    for section in SECTIONS:
        parts += [f"## {section.capitalize()}", _section_text(card[section])]
    packages = ", ".join(f"{k} {v}" for k, v in card["made_with"].items())
    return "\n\n".join([*parts, f"Made with {packages}."]) + "\n"


def _kind(card, count):
    if card["activation"] != "sigmoid":
        return f"{count} classes"
    return f"{count} labels, of which an image can have several"


def _targets(card):
    """Table of the predicted numbers and their scale in the training."""
    names, mean = card["target_names"], card["target_mean"]
    if mean is None:
        return ", ".join(names)
    rows = [
        [name, f"{m:.6g}", f"{s:.6g}"]
        for name, m, s in zip(names, mean, card["target_std"])
    ]
    table = markdown_table(
        rows, ["number", "mean in training", "standard deviation"]
    )
    return f"They are in the units of the training labels.\n\n{table}"


def _images(card):
    """Sentences about the pixels of the images."""
    channels = card["channels"]
    if channels == 3:
        return "Images are RGB in [0, 255], of any size."
    kind = "grey images of 1 channel"
    if channels > 1:
        kind = f"images of {channels} channels"
    text = f"Images are {kind} in [0, 255], of any size."
    if card["pixel_range"] is not None:
        low, high = card["pixel_range"]
        text += (
            f" 0 and 255 stand for the values {low:g} and {high:g} of the"
            " training images"
        )
        if "serve_values" in card["signatures"]:
            text += ", which `serve_values` takes as they are"
        text += "."
    return text


def _precision(card):
    """Sentences about the precision and the operations that a runtime needs."""
    text = f"It computes in {card['precision']}"
    if card["trained_in"] != card["precision"]:
        text += f" and was trained in {card['trained_in']}"
    text += "."
    if card["extra_operations"]:
        names = ", ".join(card["extra_operations"])
        text += f" Its runtime must have TensorFlow's own operations {names}."
    return text


def _signatures(signatures):
    rows = [
        [
            f"`{name}`",
            *(
                ", ".join(
                    f"`{key}` {spec['dtype']} {_shape(spec['shape'])}"
                    for key, spec in signature[side].items()
                )
                for side in ("inputs", "outputs")
            ),
        ]
        for name, signature in signatures.items()
    ]
    return markdown_table(rows, ["signature", "inputs", "outputs"])


def _shape(sides):
    return str(["any" if side is None else side for side in sides]).replace(
        "'", ""
    )


def _section_text(section):
    if section is None:
        return "Not said."
    if not isinstance(section, dict):
        return str(section)
    return "\n".join(f"- {key}: {value}" for key, value in section.items())
