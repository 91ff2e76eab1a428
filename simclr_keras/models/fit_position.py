"""Knows where a `fit` stands: its epoch, the step in it, the steps done."""

from __future__ import annotations

import dataclasses

import keras

from simclr_keras import compat


@dataclasses.dataclass
class FitPosition:
    """Where a `fit` stands; all that is counted in it is counted here.

    `fit` of our models makes one and keeps it as `model.fit_position`. The
    first of its callbacks, `fit_callbacks.FollowFit`, moves it before any
    other is called. A fit epoch is what Keras calls an epoch; where images are
    few, it has several epochs of the data.

    Attributes:
        fit_epoch: number of the fit epoch that is running or, between two,
            of the next; from 0.
        step: steps done of it.
        first_step: step at which it began: above 0 only where a resumed `fit`
            goes on within it.
        steps: steps of a whole fit epoch; None where unknown.
        done: steps done in this `fit`.
        executed: steps of the last execution, of which `compile` can ask for
            several.
        starts_within: whether a fit epoch can begin at a later step.
        epochs_per_fit_epoch: epochs of the data in a fit epoch.
        steps_per_epoch: steps of an epoch of the data; None where unknown.
        followed: whether a callback moves it that comes before all others.
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
        """Lets the first fit epoch begin at a later step, before it begins."""
        self.fit_epoch, self.step = number, step

    def begin_fit_epoch(self, number: int) -> None:
        """Begins one: at step 0 if `resume_at` has not said otherwise."""
        if number != self.fit_epoch:
            self.fit_epoch, self.step = number, 0
        self.first_step = self.step

    def end_step(self, model: keras.Model) -> None:
        """Counts the steps of the execution that has just ended.

        Not by the optimizer, which does not count steps that float16 leaves
        out.

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
        """Goes on to the beginning of the next fit epoch."""
        self.fit_epoch, self.step = self.fit_epoch + 1, 0

    @property
    def fit_epoch_is_done(self) -> bool:
        """Whether no step is left of the fit epoch; False where unknown."""
        return self.step == self.steps

    def passed(self, every: int, before: int = 0) -> bool:
        """Whether the last execution came to a multiple of some steps.

        Args:
            every: the number of steps; 0: never.
            before: steps that count as done before this `fit`.
        """
        if not every:
            return False
        now = before + self.done
        return now // every > (now - self.executed) // every
