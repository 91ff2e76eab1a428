"""Lets `fit` of both stacks start anywhere, be counted and be built early."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable

import keras
import tensorflow as tf

from simclr_keras.compat.variables import as_numpy
from simclr_keras.compat.versions import KERAS_3

# Open while `end_epoch` hides a warning of Keras; `set_resume_point` closes it.
_SILENCE = contextlib.ExitStack()


class BuildsItself(keras.Model):
    """Base of a model that `build_state` builds, where Keras 3 would guess.

    Keras 3 builds a model under a distribution strategy from its first batch,
    of which it takes the mean over the replicas; integers, such as images and
    labels, have no collective for that.
    """

    def build_state(self, labels: tf.TensorSpec | None = None) -> None:
        """Creates what training needs, under the model's strategy."""
        raise NotImplementedError

    # Private: no argument or public method leaves out that mean.
    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self.optimizer is not None:
            self.build_state()


def build_metrics(
    model: keras.Model, y_true: tf.Tensor, y_pred: tf.Tensor
) -> None:
    """Creates the metrics that a model was compiled with."""
    if not KERAS_3:
        if not model.compiled_loss.built:
            model.compiled_loss.build(y_pred)
        if not model.compiled_metrics.built:
            model.compiled_metrics.build(y_pred, y_true)
        return
    # Private: `compute_metrics` is public, but updates what it builds, which
    # outside of the replicas their variables do not allow.
    compiled = model._compile_metrics
    if compiled is not None and not compiled.built:
        compiled.build(y_true, y_pred)


def set_resume_point(
    model: keras.Model, epoch: int | None, step: int | None
) -> None:
    """Makes a `fit` that is starting (in `on_train_begin`) start there.

    On Keras 3 the first epoch has to be ended by `end_epoch` after the steps
    that are left of it. None for both undoes it, for the next `fit`; it is to
    be called when an epoch begins and when the training ends, by an error too.
    """
    if epoch is None:
        _SILENCE.close()
    # Private, as in Keras's own `BackupAndRestore`: `initial_epoch` is an
    # argument of `fit`, which has been called already.
    if KERAS_3:
        model._initial_epoch = epoch
    elif epoch is None:
        vars(model).pop("_maybe_load_initial_counters_from_ckpt", None)
    else:
        model._maybe_load_initial_counters_from_ckpt = (
            lambda steps_per_epoch, initial_epoch: (epoch, step)
        )


def end_epoch() -> None:
    """Ends, in `on_train_batch_end`, an epoch that began at a later step.

    Callbacks behind the one that calls this miss the batch. Keras 2.15 counts
    the steps from where the epoch began, and needs no telling.
    """
    if KERAS_3:
        # Keras takes it for the end of the data, and warns of that, which
        # nobody needs to see until `set_resume_point` is called again.
        _SILENCE.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "Your input ran out of data")
        raise StopIteration


def distributed(
    strategy: tf.distribute.Strategy,
    dataset_of: Callable[[tf.distribute.InputContext], tf.data.Dataset],
    steps: int,
) -> tf.distribute.DistributedDataset:
    """Input of this process for `fit`, endless, in epochs of some steps.

    Args:
        strategy: strategy of several processes.
        dataset_of: function of `tf.distribute.InputContext` that returns an
            endless `tf.data.Dataset` of batches for one replica.
        steps: batches that are an epoch.
    """
    dataset = strategy.distribute_datasets_from_function(dataset_of)
    # Private: `cardinality` of such a data set can only be read. Keras 3 reads
    # it, and where it is unknown takes the steps of the first epoch for it,
    # which are too few when that epoch was resumed in its middle.
    dataset._cardinality = steps
    return dataset


def with_cardinality(dataset: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """A copy of the data set whose number of batches Keras 3 reads as `steps`.

    Keras 3 asks the data set for it and ends an epoch by it; TensorFlow's own
    way to say it refuses an epoch that begins in its middle.
    """
    dataset = dataset.with_options(tf.data.Options())  # a copy
    dataset.cardinality = steps
    return dataset


def steps_per_execution(model: keras.Model) -> int:
    """Steps of the execution that a model runs or has just run.

    On Keras 3 the last one of an epoch can have fewer.
    """
    value = getattr(model, "steps_per_execution", None)
    return 1 if value is None else int(as_numpy(value))


def prefetches_across_steps(model: keras.Model) -> bool:
    """Whether batches are asked for while the step before is running.

    Then the time that a batch takes is not what a step waits for it.
    """
    return KERAS_3 and steps_per_execution(model) > 1
