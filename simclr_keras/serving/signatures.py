"""A model -> the functions that its SavedModel serves."""

import json

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.images import decode
from simclr_keras.models import fitting

# Where the configuration of the Keras model lies in the SavedModel, and what
# its variables are called there: enough to have the Keras model again.
CONFIG = "assets.extra/model.json"
WEIGHTS = "model_weights"
DEFAULT = "serving_default"
IMAGES = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
ENCODED = tf.TensorSpec([None], tf.string, name="encoded")


def make(model, crop, class_names, *, max_pixels, pixel_range=None):
    """The functions by name, each a `tf.function` of its one signature.

    Args:
        model: see `export`.
        crop: `views.CenterCrop` that makes the model's images.
        class_names: K names, or None for a model without classes.
        max_pixels: largest image that is decoded, height times width.
        pixel_range: see `export`.
    """

    def serve(images):
        return _outputs(model, crop(images))

    @tf.function(input_signature=[ENCODED], autograph=False)
    def decoded(encoded):  # traced once for both that call it
        return _decoded(encoded, crop, max_pixels, pixel_range)

    def serve_encoded(encoded):
        return _outputs(model, decoded(encoded))

    def classify(encoded):
        p = _outputs(model, decoded(encoded))["probabilities"]
        p, order = tf.math.top_k(p, len(class_names))
        return {
            "class_names": tf.gather(tf.constant(class_names), order),
            "probabilities": p,
        }

    functions = {
        DEFAULT: (serve, IMAGES),
        "serve_encoded": (serve_encoded, ENCODED),
    }
    if class_names is not None:
        functions["classify"] = (classify, ENCODED)
    return {
        name: tf.function(function, input_signature=[spec], jit_compile=False)
        for name, (function, spec) in functions.items()
    }


def save(directory, model, functions):
    """Writes the SavedModel; returns its signatures, concrete functions.

    Keras objects stay outside: saving them would trace every layer, and make
    loading look for their classes. Their configuration lies beside.
    """
    signatures = {k: f.get_concrete_function() for k, f in functions.items()}
    module = tf.Module(name="simclr_keras_export")
    for name, function in functions.items():
        setattr(module, name, function)
    weights = [compat.tensorflow_variable(v) for v in compat.weights_of(model)]
    setattr(module, WEIGHTS, weights)
    tf.saved_model.save(module, str(directory), signatures=signatures)
    path = directory / CONFIG
    path.parent.mkdir(exist_ok=True)
    try:
        config = keras.saving.serialize_keras_object(model)
    except (NotImplementedError, TypeError):
        return signatures  # a class without `get_config`: to serve is enough
    path.write_text(json.dumps(config) + "\n", encoding="utf-8")
    return signatures


def inputs_of(signature):
    """Dict of name -> `tf.TensorSpec` of what a signature takes."""
    specs = tf.nest.flatten(signature.structured_input_signature)
    return {spec.name: spec for spec in specs}


def _decoded(encoded, crop, max_pixels, pixel_range):
    """Encoded images of any sizes -> one batch of the model's size."""

    def decoded(content):
        image = decode(
            content, max_pixels, pixel_range=pixel_range, in_graph=True
        )
        return crop(image[tf.newaxis])[0]

    return tf.map_fn(
        decoded,
        encoded,
        fn_output_signature=tf.TensorSpec((*crop.size, 3), tf.float32),
    )


def _outputs(model, images):
    """Dict of float32 outputs for float images of the model's size."""
    if hasattr(model, "embed"):
        h = model.embed(images, training=False)
    else:
        h = fitting.pooled(model(images, training=False))
    outputs = {"embedding": h}
    if hasattr(model, "logits_of"):
        logits = tf.cast(model.logits_of(h, training=False), tf.float32)
        if model.activation == "linear":
            outputs["predictions"] = logits
        else:
            outputs["logits"] = logits
            outputs["probabilities"] = model.activated(logits)
    return {name: tf.cast(x, tf.float32) for name, x in outputs.items()}
