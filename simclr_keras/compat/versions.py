"""Says which Keras and TensorFlow are installed, and what they can do."""

import keras
import tensorflow as tf

KERAS_3 = int(keras.__version__.split(".")[0]) >= 3
# Written into checkpoints: a run does not resume from those of the other stack.
STACK = "3" if KERAS_3 else "2"
# Keras 2.15 marks the steps in a profile by itself.
MARKS_PROFILED_STEPS = not KERAS_3
# Keras 3 loads a saved optimizer of ours only if its class is known already;
# Keras 2.15 imports the module by the name in the file.
IMPORTS_SAVED_CLASSES = not KERAS_3
# With several processes, Keras 3 averages the logs of a step over their first
# axis, which scalars do not have ("Invalid reduction dimension 0").
REDUCES_LOGS_OVER_AN_AXIS = KERAS_3
# With several processes, Keras 2.15 uses one iterator over the data for all
# epochs of a `fit`.
ONE_ITERATION_FOR_ALL_EPOCHS = not KERAS_3
# TensorFlow 2.15 writes a line about the first program of XLA whatever
# `TF_CPP_MIN_LOG_LEVEL` says.
LOGS_FIRST_COMPILATION = not KERAS_3
# Whether `tf.io.decode_image` knows WebP; older TensorFlow refuses it.
DECODES_WEBP = hasattr(tf.raw_ops, "DecodeWebP")

if KERAS_3 and keras.backend.backend() != "tensorflow":
    raise ImportError(
        "simclr_keras trains with TensorFlow (tf.distribute, tf.data), so Keras"
        " must use its TensorFlow backend. Received the backend"
        f" {keras.backend.backend()!r}; set KERAS_BACKEND=tensorflow."
    )
