"""What every model of ours does around `fit` and its steps."""

import keras
import tensorflow as tf

from simclr_keras import compat


class EpochOrder(keras.callbacks.Callback):
    """Tells a data set of `simclr_keras.data` which epoch begins.

    With it the order of the images is a function of the epoch's number, also
    when `fit` starts at a later epoch.
    """

    def __init__(self, dataset):
        super().__init__()
        self._epoch = dataset.epoch

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the epoch before the first batch of it is drawn."""
        self._epoch.assign(epoch)


def prepare(model, dataset, arguments):
    """Changes the keyword arguments of `fit` to suit a `tf.data.Dataset`.

    The model notes the size of the global batch; a data set of ours learns the
    number of each epoch.
    """
    model.global_batch_size = _batch_size(dataset, arguments)
    if isinstance(dataset, tf.data.Dataset):
        # Its order is its own; Keras warns of its default otherwise.
        arguments.setdefault("shuffle", False)
    callbacks = arguments.get("callbacks")
    if hasattr(dataset, "epoch") and not isinstance(
        callbacks, keras.callbacks.CallbackList
    ):
        if isinstance(callbacks, keras.callbacks.Callback):
            callbacks = [callbacks]
        arguments["callbacks"] = [EpochOrder(dataset), *(callbacks or [])]


def _batch_size(dataset, arguments):
    """Images in the global batch, or None where unknown."""
    spec = getattr(dataset, "element_spec", None)
    if spec is None:
        return arguments.get("batch_size")
    shape = tf.nest.flatten(spec)[0].shape
    return shape[0] if shape.rank else None


def image_size_of(data):
    """Side in pixels of the square images that `fit` is given, or None."""
    spec = getattr(data, "element_spec", data)
    shape = tuple(getattr(tf.nest.flatten(spec)[0], "shape", None) or ())
    square = len(shape) == 4 and shape[1] == shape[2]
    return shape[1] if square else None


def compile_from_config(model, config):
    """Compiles a model that was loaded; its optimizer gets its slots."""
    model.compile(**keras.saving.deserialize_keras_object(config))
    compat.build_optimizer(model.optimizer, model.trainable_variables)


def training_step(optimizer):
    """Number of the training step that runs now: int64 scalar from 0."""
    return tf.cast(tf.convert_to_tensor(optimizer.iterations), tf.int64)


def build_size(encoder):
    """Image size (pixels) at which an encoder can be called once to build."""
    shape = getattr(encoder, "input_shape", None)
    known = isinstance(shape, tuple) and len(shape) == 4
    return tuple((shape[i] if known else None) or 64 for i in (1, 2))


def pooled(features):
    """Features `[B, C]`, float32 at least; maps are averaged over space."""
    if features.dtype.size < 4:
        # TensorFlow 2.15 adds bfloat16 up in bfloat16 on CPU.
        features = tf.cast(features, tf.float32)
    rank = features.shape.rank
    if rank == 4:
        return tf.reduce_mean(features, axis=(1, 2))
    if rank == 2:
        return features
    raise ValueError(
        "encoder must map images to features [B, C] or to a feature map"
        f" [B, H, W, C]. Received: output of shape {features.shape}"
    )
