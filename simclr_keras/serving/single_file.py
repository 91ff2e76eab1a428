"""Writes a model as one file for runtimes other than TensorFlow.

tf2onnx converts to "onnx", TensorFlow's converter to "tflite"; each is imported
only when needed. Both files take images of any number and size, as the
SavedModel does.
"""

from __future__ import annotations

import importlib
import math
import pathlib
import re
from collections.abc import Callable
from collections.abc import Sequence

import keras
import tensorflow as tf

from simclr_keras import compat

FILES = {"onnx": "model.onnx", "tflite": "model.tflite"}
# ONNX operator set of 2022, which runtimes released since then support.
_OPSET = 17
# Largest size in bytes of a protocol buffer message and of a FlatBuffer.
_LIMIT = 2**31


def check(format: str, weights: Sequence[keras.Variable | tf.Variable]) -> None:
    """Checks that a model can be written, before any long work.

    Args:
        format: one of `FILES`.
        weights: the model's variables.

    Raises:
        ImportError: the converter is not installed.
        ValueError: the weights are too many for one file.
    """
    size = sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in weights)
    if size >= _LIMIT:
        raise ValueError(
            f"format={format!r} must be of a model with less than {_LIMIT}"
            " bytes of weights, which is all that one file can hold. Received:"
            f" {size} bytes; format='saved_model' has no such limit"
        )
    if format == "onnx":
        _check_tf2onnx()
    elif not hasattr(getattr(tf, "lite", None), "TFLiteConverter"):
        raise ImportError(
            "format='tflite' needs a TensorFlow with tf.lite.TFLiteConverter."
            f" Received: TensorFlow {tf.__version__}"
        )


def _check_tf2onnx():
    try:
        importlib.import_module("tf2onnx")
    except ImportError as error:
        raise ImportError(
            "format='onnx' needs tf2onnx: install the extra onnx, pip install"
            f" '.[onnx]' in a clone of simclr_keras ({error})"
        ) from error


def write(
    format: str, directory: pathlib.Path, function: Callable, model: keras.Model
) -> list[str]:
    """Writes the file.

    Args:
        format: one of `FILES`.
        directory: `pathlib.Path` to write to.
        function: `tf.function` with an input signature.
        model: `keras.Model` whose variables `function` reads.

    Returns:
        Sorted names of the TensorFlow operations that a runtime needs besides
        its built-in ones.

    Raises:
        ValueError: the converter does not support an operation of the model.
    """
    path = directory / FILES[format]
    if format == "onnx":
        _write_onnx(path, function)
        return []
    content = _tflite(function, model)
    path.write_bytes(content)
    # In such a file the names of TensorFlow operations have the prefix Flex.
    selected = set(re.findall(rb"Flex[A-Z][A-Za-z0-9]{2,}", content))
    return sorted(name.decode() for name in selected)


def _write_onnx(path, function):
    import tf2onnx

    tf2onnx.convert.from_function(
        function,
        input_signature=list(function.input_signature),
        opset=_OPSET,
        output_path=str(path),
    )


def _tflite(function, model):
    """Content of the file, with only built-in operations if these suffice."""
    module = tf.Module()
    module.function = function
    module.weights = compat.tensorflow_weights(model)
    built_in = [tf.lite.OpsSet.TFLITE_BUILTINS]
    error = None
    for operations in (built_in, [*built_in, tf.lite.OpsSet.SELECT_TF_OPS]):
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()], module
        )
        converter.target_spec.supported_ops = operations
        try:
            return converter.convert()
        except Exception as failed:  # the converter's own class is private
            error = failed
    raise ValueError(
        "format='tflite' must be of a model whose operations TensorFlow Lite"
        " knows; format='saved_model' has no such limit. Received: a model"
        f" that its converter refuses: {_first_line(error)}"
    ) from error


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines()]
    return next(filter(None, lines), type(error).__name__)[:300]
