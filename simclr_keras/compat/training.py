"""Makes `fit` of both stacks resume anywhere, and builds models before it."""

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
    """Base of a model that builds itself by `build_state`.

    Under a distribution strategy, Keras 3 would build it from the mean of its
    first batch over the replicas, which no collective computes for integers,
    such as images and labels.
    """

    def build_state(self, labels: tf.TensorSpec | None = None) -> None:
        """Creates what training needs, under the model's strategy."""
        raise NotImplementedError

    # Private: no argument or public method avoids that mean.
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
    # Private: the public `compute_metrics` also updates the metrics that it
    # builds, which their variables do not allow outside of the replicas.
    compiled = model._compile_metrics
    if compiled is not None and not compiled.built:
        compiled.build(y_true, y_pred)


def set_resume_point(
    model: keras.Model, epoch: int | None, step: int | None
) -> None:
    """Makes a `fit` begin at a step of an epoch; called in `on_train_begin`.

    On Keras 3, `end_epoch` must end the first epoch after its remaining steps.
    None for both undoes this for the next `fit`: call it so when an epoch
    begins, and when training ends, even by an error.
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

    Callbacks after the one that calls this miss the batch. Keras 2.15 counts
    the steps from where the epoch began, so this does nothing there.
    """
    if KERAS_3:
        # Keras takes this for the end of the data and warns. The warning is
        # hidden until `set_resume_point` is called again.
        _SILENCE.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "Your input ran out of data")
        raise StopIteration


def distributed(
    strategy: tf.distribute.Strategy,
    dataset_of: Callable[[tf.distribute.InputContext], tf.data.Dataset],
    steps: int,
) -> tf.distribute.DistributedDataset:
    """Endless input of this process for `fit`, in epochs of `steps` batches.

    Args:
        strategy: strategy of several processes.
        dataset_of: function of `tf.distribute.InputContext` that returns an
            endless `tf.data.Dataset` of batches for one replica.
        steps: number of batches in an epoch.
    """
    dataset = strategy.distribute_datasets_from_function(dataset_of)
    # Private: `cardinality` of such a data set can only be read. Keras 3 reads
    # it. If it is unknown, Keras uses the steps of the first epoch instead,
    # which are too few if that epoch was resumed in its middle.
    dataset._cardinality = steps
    return dataset


def with_cardinality(dataset: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """Copies a data set, with `steps` as the cardinality that Keras 3 reads.

    Keras 3 ends an epoch after so many batches. TensorFlow's
    `assert_cardinality` would refuse an epoch that begins in its middle.
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
    """Whether a batch is requested while the step before is running.

    If so, the time that a batch takes is not the time that a step waits for it.
    """
    return KERAS_3 and steps_per_execution(model) > 1


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
