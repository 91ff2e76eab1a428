"""A model -> an ONNX file, by tf2onnx, which is loaded only for that."""

import importlib

FILE = "model.onnx"
# Of 2022, which runtimes of the years since read.
_OPSET = 17


def check():
    """Says what is missing, before any long work.

    Raises:
        ImportError: tf2onnx is not installed.
    """
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
