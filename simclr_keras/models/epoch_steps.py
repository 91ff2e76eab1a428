"""Begins an epoch of `fit` at any step, and counts the steps that it runs."""

import keras

from simclr_keras import compat


class EpochOrder(keras.callbacks.Callback):
    """Tells a data set of `simclr_keras.data` which epoch and step begin.

    With it the order of the images is a function of the epoch's number, also
    when `fit` starts at a later epoch or, with `model.start`, within one.
    """

    def __init__(self, dataset):
        super().__init__()
        self._dataset = dataset

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the place before the first batch of it is drawn."""
        self._dataset.seek(epoch, first_step(self.model, epoch))


class EpochEnd(keras.callbacks.Callback):
    """Ends an epoch that began at a later step; the last callback."""

    def __init__(self, steps):
        super().__init__()
        self._steps = steps

    def on_epoch_begin(self, epoch, logs=None):
        """Learns where the epoch begins."""
        step = first_step(self.model, epoch)
        self._late = step > 0
        self._left = self._steps - step

    def on_train_batch_end(self, batch, logs=None):
        """Ends it after the steps that were left."""
        self._left -= executed(self.model, self._left)
        if self._late and not self._left and not self.model.stop_training:
            compat.end_epoch()


def first_step(model, epoch):
    """Step of an epoch with which a `fit` begins it: 0 but where it resumes."""
    start_epoch, step = model.start or (epoch, 0)
    return step if epoch == start_epoch else 0


def executed(model, left):
    """Training steps of the execution that has just ended.

    Not by the optimizer, which does not count steps that float16 leaves out.

    Args:
        model: the model that is fitted.
        left: steps that were left of the epoch before, or None where the
            number of steps is not known.
    """
    steps = compat.steps_per_execution(model)
    return steps if left is None else min(steps, left)
