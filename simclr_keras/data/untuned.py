"""Keeps TensorFlow from tuning a data set, which can delay its end."""

from __future__ import annotations

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same data set, with as many parallel calls as there are cores.

    The thread that tunes them can miss that an iterator is to end, and sleeps
    on, for as long as the iterator has existed, or a minute; the iterator is
    not deleted before. (Seen in `Model::OptimizeLoop` of TensorFlow 2.21, in
    one of some hundred iterators.)

    Args:
        dataset: `tf.data.Dataset`; what is made of it is not tuned either.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
