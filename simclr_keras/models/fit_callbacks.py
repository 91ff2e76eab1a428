"""Surrounds the user's callbacks of `fit` with those that it needs itself."""

from __future__ import annotations

from typing import Any

import keras

from simclr_keras import compat
from simclr_keras import data
from simclr_keras.models import pixels
from simclr_keras.models.fit_position import FitPosition
from simclr_keras.models.input_wait import InputWait


class FollowFit(keras.callbacks.Callback):
    """Moves the position of a `fit`; the first callback, as all others read it.

    With it the order of the images is a function of the round's number, also
    when `fit` starts at a later round or, where it is resumed, within one.

    Args:
        position: `FitPosition`.
        dataset: `data.Batches` that is told where each round begins, or None.
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
        """Learns how many steps a round has."""
        self._position.steps = self.params.get("steps")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Finds the place of the data before the first batch is drawn."""
        self._position.begin_round(epoch)
        if self._dataset is not None:
            self._dataset.seek(epoch, self._position.step)
        if self._wait is not None:
            self._wait.begin_round()

    def on_train_batch_begin(
        self, batch: int, logs: dict | None = None
    ) -> None:
        """Starts the clock of the step."""
        if self._wait is not None:
            self._wait.begin_step(self._position)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stops the clock before other callbacks take time; counts."""
        if self._wait is not None:
            self._wait.end_step()
        self._position.end_step(self.model)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Counts the round."""
        self._position.end_round()


class EndLateRound(keras.callbacks.Callback):
    """Ends a round that began at a later step.

    The last callback: those behind it miss the round's last step.
    """

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Ends it after the steps that were left."""
        position = self.model.fit_position
        late = position.first_step > 0 and position.round_is_done
        if late and not self.model.stop_training:
            compat.end_epoch()


def is_fixed(callbacks: Any) -> bool:
    """Whether they are Keras's `CallbackList`, to which nothing is added."""
    return isinstance(callbacks, keras.callbacks.CallbackList)


def checking_pixels(callbacks: Any) -> list[keras.callbacks.Callback]:
    """The user's callbacks after that of the pixels, a list.

    Args:
        callbacks: a callback, a list of them, or None.
    """
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    return [pixels.CheckPixels(), *(callbacks or [])]


def surrounded(
    callbacks: Any, model: keras.Model, dataset: data.Batches | None = None
) -> list[keras.callbacks.Callback]:
    """All callbacks of a `fit`, a list: ours around the user's.

    Args:
        callbacks: a callback, a list of them, or None.
        model: the model that is fitted, with its `fit_position` and
            `input_wait`.
        dataset: `data.Batches` that is trained on, or None for others, which
            begin no round late.
    """
    first = FollowFit(model.fit_position, dataset, model.input_wait)
    last = [] if dataset is None else [EndLateRound()]
    return [first, *checking_pixels(callbacks), *last]
