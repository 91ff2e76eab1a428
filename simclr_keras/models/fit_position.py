"""Counts the position of a `fit`: its epoch, the step in it, all steps."""

from __future__ import annotations

import dataclasses

import keras

from simclr_keras import compat


@dataclasses.dataclass
class FitPosition:
    """Position of a `fit`; nothing else counts its steps and epochs.

    `fit` of our models makes one and keeps it as `model.fit_position`. The
    first of its callbacks, `fit_callbacks.TrackFitPosition`, updates it before
    any other is called. A fit epoch is what Keras calls an epoch; with few
    images, it has several epochs of the data.

    Attributes:
        fit_epoch: number of the fit epoch that is running or, between two,
            of the next; from 0.
        step: steps done in this fit epoch.
        first_step: step at which it began; above 0 only if `fit` resumed in its
            middle.
        steps: steps of a whole fit epoch; None if unknown.
        done: steps done in this `fit`.
        executed: steps of the last execution; see `steps_per_execution` of
            `compile`.
        starts_within: whether a fit epoch can begin in its middle.
        epochs_per_fit_epoch: epochs of the data in a fit epoch.
        steps_per_epoch: steps of an epoch of the data; None if unknown.
        followed: whether the first of all callbacks updates this object.
    """

    fit_epoch: int = 0
    step: int = 0
    first_step: int = 0
    steps: int | None = None
    done: int = 0
    executed: int = 0
    starts_within: bool = False
    epochs_per_fit_epoch: int = 1
    steps_per_epoch: int | None = None
    followed: bool = False

    def resume_at(self, number: int, step: int) -> None:
        """Sets where the first fit epoch begins; call this before it does."""
        self.fit_epoch, self.step = number, step

    def begin_fit_epoch(self, number: int) -> None:
        """Begins a fit epoch, at step 0 unless `resume_at` set another."""
        if number != self.fit_epoch:
            self.fit_epoch, self.step = number, 0
        self.first_step = self.step

    def end_step(self, model: keras.Model) -> None:
        """Counts the steps of the execution that has just ended.

        The optimizer's count would not do: it omits the steps that float16's
        loss scaling skips.

        Args:
            model: the `keras.Model` that is fitted.
        """
        executed = compat.steps_per_execution(model)
        if self.steps is not None:
            executed = min(executed, self.steps - self.step)
        self.step += executed
        self.done += executed
        self.executed = executed

    def end_fit_epoch(self) -> None:
        """Moves to the beginning of the next fit epoch."""
        self.fit_epoch, self.step = self.fit_epoch + 1, 0

    @property
    def fit_epoch_is_done(self) -> bool:
        """Whether the fit epoch has no steps left; False if unknown."""
        return self.step == self.steps

    def passed(self, every: int, before: int = 0) -> bool:
        """Whether the last execution reached or passed a multiple of `every`.

        Args:
            every: number of steps; 0: never.
            before: number of steps that count as done before this `fit`.
        """
        if not every:
            return False
        now = before + self.done
        return now // every > (now - self.executed) // every
