"""Makes the functions that a SavedModel serves, and writes them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.images import CenterCrop
from simclr_keras.images import decode
from simclr_keras.images.formats import pixel_range as ranges
from simclr_keras.models import fitting

# Path of the Keras model's configuration in the SavedModel, and the name of its
# variables there; from these `load` rebuilds the Keras model.
CONFIG = "assets.extra/model.json"
WEIGHTS = "model_weights"
DEFAULT = "serving_default"
ENCODED = tf.TensorSpec([None], tf.string, name="encoded")
# Channels for which exports take encoded files; the warm-up request is a JPEG,
# which has 1 or 3.
ENCODED_CHANNELS = (1, 3)


def make(
    model: keras.Model,
    crop: CenterCrop,
    class_names: Sequence[str] | None,
    *,
    max_pixels: int,
    pixel_range: tuple[float, float] | None = None,
    channels: int = 3,
) -> dict[str, Callable]:
    """Makes the functions of an export.

    Args:
        model: see `export`.
        crop: `views.CenterCrop`, the model's preprocessing.
        class_names: K names, or None for a model without classes.
        max_pixels: largest height times width of an image to decode.
        pixel_range: see `export`.
        channels: number of channels of the images. Default 3.

    Returns:
        Dict from names to `tf.function`s with one input signature each.
    """

    shape = [None, None, None, channels]
    images = tf.TensorSpec(shape, tf.uint8, name="images")
    values = tf.TensorSpec(shape, tf.float32, name="values")

    def serve(images):
        return _outputs(model, crop(images))

    def serve_values(values):
        # To 8 bits first, as in training, to rounding at half a level.
        if pixel_range == ranges.FULL_RANGE:  # drops the lower byte of uint16
            values = tf.cast(tf.clip_by_value(values, 0.0, 65535.0), tf.uint16)
        return _outputs(model, crop(ranges.to_uint8(values, pixel_range)))

    @tf.function(input_signature=[ENCODED], autograph=False)
    def preprocess(encoded):  # traced once for both callers
        return _decode_and_crop(
            encoded, crop, max_pixels, pixel_range, channels
        )

    def serve_encoded(encoded):
        return _outputs(model, preprocess(encoded))

    def classify(encoded):
        p = _outputs(model, preprocess(encoded))["probabilities"]
        p, order = tf.math.top_k(p, len(class_names))
        return {
            "class_names": tf.gather(tf.constant(class_names), order),
            "probabilities": p,
        }

    functions = {DEFAULT: (serve, images)}
    if channels in ENCODED_CHANNELS:
        functions["serve_encoded"] = (serve_encoded, ENCODED)
        if class_names is not None:
            functions["classify"] = (classify, ENCODED)
    if channels != 3 and pixel_range is not None:
        functions["serve_values"] = (serve_values, values)
    return {
        name: tf.function(function, input_signature=[spec], jit_compile=False)
        for name, (function, spec) in functions.items()
    }


def save(
    directory: pathlib.Path,
    model: keras.Model,
    functions: Mapping[str, Callable],
) -> dict[str, Callable]:
    """Writes the SavedModel, and returns its signatures as concrete functions.

    The SavedModel contains no Keras objects: saving them would trace every
    layer, and loading would need their classes. The Keras model's configuration
    is in a separate file.
    """
    signatures = {k: f.get_concrete_function() for k, f in functions.items()}
    module = tf.Module(name="simclr_keras_export")
    for name, function in functions.items():
        setattr(module, name, function)
    setattr(module, WEIGHTS, compat.tensorflow_weights(model))
    tf.saved_model.save(module, str(directory), signatures=signatures)
    path = directory / CONFIG
    path.parent.mkdir(exist_ok=True)
    try:
        config = keras.saving.serialize_keras_object(model)
    except (NotImplementedError, TypeError):
        return signatures  # without `get_config` it can be served, not loaded
    path.write_text(json.dumps(config) + "\n", encoding="utf-8")
    return signatures


def inputs_of(signature: Callable) -> dict[str, tf.TensorSpec]:
    """Inputs of a signature, a dict from names to `tf.TensorSpec`s."""
    specs = tf.nest.flatten(signature.structured_input_signature)
    return {spec.name: spec for spec in specs}


def _decode_and_crop(encoded, crop, max_pixels, pixel_range, channels):
    """Decodes images of any sizes to one batch of the model's image size."""

    def decode_one(content):
        image = decode(
            content,
            max_pixels,
            pixel_range=pixel_range,
            channels=None if channels == 3 else channels,
            in_graph=True,
        )
        return crop(image[tf.newaxis])[0]

    return tf.map_fn(
        decode_one,
        encoded,
        fn_output_signature=tf.TensorSpec((*crop.size, channels), tf.float32),
    )


def _outputs(model, images):
    """Float32 outputs by name, for float images of the model's size."""
    if hasattr(model, "embed"):
        h = model.embed(images, training=False)
    else:
        h = fitting.pooled(model(images, training=False))
    outputs = {"embedding": h}
    if hasattr(model, "logits_of"):
        logits = tf.cast(model.logits_of(h, training=False), tf.float32)
        if model.activation == "linear":
            outputs["predictions"] = model.activated(logits)
        else:
            outputs["logits"] = logits
            outputs["probabilities"] = model.activated(logits)
    return {name: tf.cast(x, tf.float32) for name, x in outputs.items()}
