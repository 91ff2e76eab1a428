"""Requests that TensorFlow Serving answers to itself before the first user's.

What it compiles and allocates at a model's first call is then done when it
says that the model is there. The file holds records of its message
PredictionLog, written here field by field: the package that defines it is tied
to one version of TensorFlow.
"""

import tensorflow as tf

from simclr_keras.serving.signatures import inputs_of

FILE = "assets.extra/tf_serving_warmup_requests"
# Numbers of fields in TensorFlow Serving's apis/*.proto.
_LOG_PREDICT = 6  # PredictionLog.predict_log
_PREDICT_REQUEST = 1  # PredictLog.request
_REQUEST_MODEL, _REQUEST_INPUTS = 1, 2  # PredictRequest
_MODEL_NAME, _MODEL_SIGNATURE = 1, 3  # ModelSpec
_KEY, _VALUE = 1, 2  # of an entry of a map


def write(directory, name, size, signatures):
    """Writes the file into a SavedModel: an image for each signature.

    Args:
        directory: `pathlib.Path` of the SavedModel.
        name: of the model.
        size: height and width of the images in pixels.
        signatures: dict of name -> concrete function.
    """
    image = tf.zeros((*size, 3), tf.uint8)
    values = {
        "images": image[tf.newaxis],
        "encoded": tf.io.encode_jpeg(image)[tf.newaxis],
    }
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
    """A field of bytes, a string or a message, as protocol buffers write it."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    digits.append(value)
    return bytes(digits)
