"""Writes requests with which TensorFlow Serving warms up a model.

Serving runs them before it reports the model as available, so compilation and
allocation do not delay the first user's request. The file contains records of
the message PredictionLog. They are encoded here field by field, because the
package that defines the message requires one specific version of TensorFlow.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from collections.abc import Mapping

import tensorflow as tf

from simclr_keras.serving.signatures import DEFAULT
from simclr_keras.serving.signatures import ENCODED_CHANNELS
from simclr_keras.serving.signatures import inputs_of

FILE = "assets.extra/tf_serving_warmup_requests"
# Field numbers in TensorFlow Serving's apis/*.proto.
_LOG_PREDICT = 6  # PredictionLog.predict_log
_PREDICT_REQUEST = 1  # PredictLog.request
_REQUEST_MODEL, _REQUEST_INPUTS = 1, 2  # PredictRequest
_MODEL_NAME, _MODEL_SIGNATURE = 1, 3  # ModelSpec
_KEY, _VALUE = 1, 2  # of an entry of a map


def write(
    directory: pathlib.Path,
    name: str,
    size: tuple[int, int],
    signatures: Mapping[str, Callable],
) -> None:
    """Writes a request with one image for each signature of a SavedModel.

    Args:
        directory: `pathlib.Path` of the SavedModel.
        name: name of the model.
        size: height and width of the images in pixels.
        signatures: dict from names to concrete functions.
    """
    shape = next(iter(inputs_of(signatures[DEFAULT]).values())).shape
    image = tf.zeros((*size, shape[-1]), tf.uint8)
    values = {
        "images": image[tf.newaxis],
        "values": tf.cast(image, tf.float32)[tf.newaxis],
    }
    if shape[-1] in ENCODED_CHANNELS:
        values["encoded"] = tf.io.encode_jpeg(image)[tf.newaxis]
    path = directory / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, function in signatures.items():
            inputs = {name: values[name] for name in inputs_of(function)}
            writer.write(_prediction_log(name, signature, inputs))


def _prediction_log(name, signature, inputs):
    model = _field(_MODEL_NAME, name.encode())
    model += _field(_MODEL_SIGNATURE, signature.encode())
    request = _field(_REQUEST_MODEL, model)
    for key, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        entry = _field(_KEY, key.encode()) + _field(_VALUE, tensor)
        request += _field(_REQUEST_INPUTS, entry)
    return _field(_LOG_PREDICT, _field(_PREDICT_REQUEST, request))


def _field(number, content):
    """Encodes a protocol buffer field of bytes, a string or a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    digits.append(value)
    return bytes(digits)
