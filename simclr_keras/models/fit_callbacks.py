"""Surrounds the user's callbacks of `fit` with those that it needs itself."""

from __future__ import annotations

from typing import Any

import keras

from simclr_keras import compat
from simclr_keras import data
from simclr_keras.models.fit_position import FitPosition
from simclr_keras.models.input_wait import InputWait

# Steps between two reads of the device's variable, which make the host wait.
_CHECK_EVERY = 50


class CheckPixels(keras.callbacks.Callback):
    """Stops `evaluate` and `predict` if pixels are out of range.

    Reads the model's `PixelWatch`.
    """

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Makes the next check follow the first batch."""
        self._tested = False

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Checks after the first batch."""
        if not self._tested:
            self.model.pixel_watch.check()
        self._tested = True

    def on_test_end(self, logs: dict | None = None) -> None:
        """Checks the later batches."""
        self.model.pixel_watch.check()

    def on_predict_batch_end(
        self, batch: int, logs: dict | None = None
    ) -> None:
        """Checks after every batch, before its outputs are returned."""
        self.model.pixel_watch.check()


class FollowFit(CheckPixels):
    """Moves the position of a `fit`; the first callback, as all others read it.

    With it the order of the images is a function of the fit epoch's number,
    also when `fit` starts at a later one or, where it is resumed, within one.
    Of a batch with pixels out of range no callback behind it sees the figures.

    Args:
        position: `FitPosition`.
        dataset: `data.Batches` that is told where a fit epoch begins, or None.
        input_wait: `InputWait` that measures the `fit`, or None.
    """

    def __init__(
        self,
        position: FitPosition,
        dataset: data.Batches | None = None,
        input_wait: InputWait | None = None,
    ):
        super().__init__()
        self._position = position
        self._dataset = dataset
        self._wait = input_wait
        position.followed = True

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Learns the steps of a fit epoch; clears the record of pixels."""
        self._position.steps = self.params.get("steps")
        self.model.pixel_watch.reset()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Finds the place of the data before the first batch is drawn."""
        self._position.begin_fit_epoch(epoch)
        if self._dataset is not None:
            self._dataset.seek(epoch, self._position.step)
        if self._wait is not None:
            self._wait.begin_fit_epoch()

    def on_train_batch_begin(
        self, batch: int, logs: dict | None = None
    ) -> None:
        """Starts the clock of the step."""
        if self._wait is not None:
            self._wait.begin_step(self._position)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stops the clock before anything else takes time; counts; checks."""
        if self._wait is not None:
            self._wait.end_step()
        self._position.end_step(self.model)
        # As if a step had been done less: after steps 1, 51, 101 and so on.
        if self._position.passed(_CHECK_EVERY, before=-1):
            self.model.pixel_watch.check()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Counts it; checks before others, which may save the model."""
        self._position.end_fit_epoch()
        self.model.pixel_watch.check()


class EndLateFitEpoch(keras.callbacks.Callback):
    """Ends a fit epoch that began at a later step.

    The last callback: those behind it miss the fit epoch's last step.
    """

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Ends it after the steps that were left."""
        position = self.model.fit_position
        late = position.first_step > 0 and position.fit_epoch_is_done
        if late and not self.model.stop_training:
            compat.end_epoch()


def is_fixed(callbacks: Any) -> bool:
    """Whether they are Keras's `CallbackList`, to which nothing is added."""
    return isinstance(callbacks, keras.callbacks.CallbackList)


def checking_pixels(callbacks: Any) -> list[keras.callbacks.Callback]:
    """All callbacks of an `evaluate` or `predict`, a list: ours first.

    Args:
        callbacks: a callback, a list of them, or None.
    """
    return [CheckPixels(), *_as_list(callbacks)]


def surrounded(
    callbacks: Any, model: keras.Model, dataset: data.Batches | None = None
) -> list[keras.callbacks.Callback]:
    """All callbacks of a `fit`, a list: ours around the user's.

    Args:
        callbacks: a callback, a list of them, or None.
        model: the model that is fitted, with its `fit_position` and
            `input_wait`.
        dataset: `data.Batches` that is trained on, or None for others, which
            begin no fit epoch late.
    """
    first = FollowFit(model.fit_position, dataset, model.input_wait)
    last = [] if dataset is None else [EndLateFitEpoch()]
    return [first, *_as_list(callbacks), *last]


def _as_list(callbacks):
    if isinstance(callbacks, keras.callbacks.Callback):
        return [callbacks]
    return list(callbacks or [])
