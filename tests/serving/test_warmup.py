"""Requests in an export by which TensorFlow Serving warms up."""

import tensorflow as tf
from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory
from tensorflow.core.framework import tensor_pb2

import simclr_keras as sk
from simclr_keras.serving import warmup


def _prediction_log():
    """TensorFlow Serving's message that a warm-up record is.

    Names and numbers of the fields are those of its apis/prediction_log.proto,
    predict.proto and model.proto, as tensorflow-serving-api 2.21 has them.
    """
    kinds = descriptor_pb2.FieldDescriptorProto
    one, many = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED
    messages = {
        "ModelSpec": [("name", 1, one, str), ("signature_name", 3, one, str)],
        # A map is written as a list of such entries.
        "Entry": [("key", 1, one, str), ("value", 2, one, bytes)],
        "PredictRequest": [
            ("model_spec", 1, one, ".ModelSpec"),
            ("inputs", 2, many, ".Entry"),
        ],
        "PredictLog": [("request", 1, one, ".PredictRequest")],
        "PredictionLog": [("predict_log", 6, one, ".PredictLog")],
    }
    types = {str: kinds.TYPE_STRING, bytes: kinds.TYPE_BYTES}
    file = descriptor_pb2.FileDescriptorProto(name="log.proto", syntax="proto3")
    for message, fields in messages.items():
        made = file.message_type.add(name=message)
        for name, number, label, of in fields:
            made.field.add(
                name=name,
                number=number,
                label=label,
                type=types.get(of, kinds.TYPE_MESSAGE),
                type_name=None if of in types else of,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindMessageTypeByName("PredictionLog")
    return message_factory.GetMessageClass(found)


def test_warm_up_requests_are_answered(tmp_path):
    model = sk.Classifier(sk.TinyResNet((4,)), 3, image_size=16)
    exported = sk.export(model, tmp_path / "export")
    signatures = tf.saved_model.load(str(exported)).signatures
    records = tf.data.TFRecordDataset(str(exported / warmup.FILE))
    asked, message = [], _prediction_log()
    for record in records.as_numpy_iterator():
        log = message.FromString(record)
        assert log.SerializeToString() == record  # no other field
        request = log.predict_log.request
        assert request.model_spec.name == "export"
        (entry,) = request.inputs
        tensor = tf.make_ndarray(tensor_pb2.TensorProto.FromString(entry.value))
        name = request.model_spec.signature_name
        outputs = signatures[name](**{entry.key: tf.constant(tensor)})
        assert outputs["probabilities"].shape == (1, 3)
        asked.append(name)
    assert sorted(asked) == sorted(signatures)
