"""Adds the callbacks that `fit` itself needs, around those of the user."""

from __future__ import annotations

from typing import Any

import keras

from simclr_keras import compat
from simclr_keras import data
from simclr_keras.models.fit_position import FitPosition
from simclr_keras.models.input_wait import InputWait

# Steps between two checks, which make the host wait for the device.
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


class TrackFitPosition(CheckPixels):
    """Updates the position of a `fit`; comes first, as all others read it.

    It makes the order of the images a function of the fit epoch's number, even
    if `fit` starts at a later fit epoch or resumes in the middle of one. When
    it finds pixels out of range, it raises the error before callbacks behind it
    see the metrics of that step.

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
        """Reads the steps of a fit epoch; clears the record of pixels."""
        self._position.steps = self.params.get("steps")
        self.model.pixel_watch.reset()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Sets the position of the data before the first batch is drawn."""
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
        """Stops the clock, before anything else; counts; checks pixels."""
        if self._wait is not None:
            self._wait.end_step()
        self._position.end_step(self.model)
        # `before=-1` moves the checks to steps 1, 51, 101 and so on.
        if self._position.passed(_CHECK_EVERY, before=-1):
            self.model.pixel_watch.check()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Counts the fit epoch; checks pixels before others save the model."""
        self._position.end_fit_epoch()
        self.model.pixel_watch.check()


class EndResumedFitEpoch(keras.callbacks.Callback):
    """Ends a fit epoch that began in its middle.

    It is the last callback, as those behind it miss the fit epoch's last step.
    """

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Ends the fit epoch after its remaining steps."""
        position = self.model.fit_position
        late = position.first_step > 0 and position.fit_epoch_is_done
        if late and not self.model.stop_training:
            compat.end_epoch()


def is_fixed(callbacks: Any) -> bool:
    """Whether callbacks are a Keras `CallbackList`, which is left as it is."""
    return isinstance(callbacks, keras.callbacks.CallbackList)


def checking_pixels(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Lists the callbacks of an `evaluate` or `predict`, `CheckPixels` first.

    Args:
        callbacks: a callback, a list of them, or None.
    """
    return [CheckPixels(), *_as_list(callbacks)]


def with_own(
    callbacks: Any, model: keras.Model, dataset: data.Batches | None = None
) -> list[keras.callbacks.Callback]:
    """Lists the callbacks of a `fit`: ours before and after the user's.

    Args:
        callbacks: a callback, a list of them, or None.
        model: the model that is fitted, with its `fit_position` and
            `input_wait`.
        dataset: `data.Batches` to train on; None for other data sets, which
            cannot begin in the middle of a fit epoch.
    """
    first = TrackFitPosition(model.fit_position, dataset, model.input_wait)
    last = [] if dataset is None else [EndResumedFitEpoch()]
    return [first, *_as_list(callbacks), *last]


def _as_list(callbacks):
    if isinstance(callbacks, keras.callbacks.Callback):
        return [callbacks]
    return list(callbacks or [])
