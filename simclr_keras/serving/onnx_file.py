"""A model -> an ONNX file, by tf2onnx, which is loaded only for that."""

import importlib
import math

import tensorflow as tf

FILE = "model.onnx"
# Of 2022, which runtimes of the years since read.
_OPSET = 17
# Most bytes of one message of protocol buffers, which such a file is.
_LIMIT = 2**31


def check(weights):
    """Says what stands in the way, before any long work.

    Args:
        weights: the model's variables.

    Raises:
        ImportError: tf2onnx is not installed.
        ValueError: the weights are too many for one file.
    """
    size = sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in weights)
    if size >= _LIMIT:
        raise ValueError(
            f"format='onnx' must be of a model with less than {_LIMIT} bytes of"
            " weights, which is all that one ONNX file can hold. Received:"
            f" {size} bytes; format='saved_model' has no such limit"
        )
    try:
        importlib.import_module("tf2onnx")
    except ImportError as error:
        raise ImportError(
            "format='onnx' needs tf2onnx: pip install 'simclr_keras[onnx]'"
            f" ({error})"
        ) from error


def write(directory, function):
    """Writes `FILE` of a `tf.function` that has an input signature."""
    import tf2onnx

    tf2onnx.convert.from_function(
        function,
        input_signature=list(function.input_signature),
        opset=_OPSET,
        output_path=str(directory / FILE),
    )
