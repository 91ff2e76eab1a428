"""Keeps TensorFlow from tuning a data set, which can delay its end."""

from __future__ import annotations

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same data set, in which `tf.data.AUTOTUNE` is the number of cores.

    The thread that tunes the parallel calls can miss that an iterator is to
    end, and sleeps on, for as long as the iterator has existed, or a minute;
    the iterator is not deleted before. Seen with TensorFlow 2.21, in
    `Model::OptimizeLoop`.

    Args:
        dataset: `tf.data.Dataset`; what is made of it is not tuned either.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
