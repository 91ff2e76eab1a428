"""Knows where a `fit` stands: its round, the step in it, the steps done."""

from __future__ import annotations

import dataclasses

import keras

from simclr_keras import compat


@dataclasses.dataclass
class FitPosition:
    """Where a `fit` stands; all that is counted in it is counted here.

    `fit` of our models makes one and keeps it as `model.fit_position`. The
    first of its callbacks, `fit_callbacks.FollowFit`, moves it before any
    other is called. A round is what Keras calls an epoch: for few images it is
    several passes over the data.

    Attributes:
        round: number of the round that is running or, between two rounds, that
            comes next; from 0.
        step: steps done of it.
        first_step: step at which it began: above 0 only where a resumed `fit`
            goes on within it.
        steps: steps of a whole round; None where unknown.
        done: steps done in this `fit`.
        executed: steps of the last execution, of which `compile` can ask for
            several.
        starts_within: whether a round can begin at a later step.
        epochs_per_round: passes over the data in a round.
        steps_per_epoch: steps of a pass over the data; None where unknown.
        followed: whether a callback moves it that comes before all others.
    """

    round: int = 0
    step: int = 0
    first_step: int = 0
    steps: int | None = None
    done: int = 0
    executed: int = 0
    starts_within: bool = False
    epochs_per_round: int = 1
    steps_per_epoch: int | None = None
    followed: bool = False

    def resume_at(self, number: int, step: int) -> None:
        """Lets the first round begin at a later step, before it begins."""
        self.round, self.step = number, step

    def begin_round(self, number: int) -> None:
        """Begins a round: at step 0 if `resume_at` has not said otherwise."""
        if number != self.round:
            self.round, self.step = number, 0
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

    def end_round(self) -> None:
        """Goes on to the beginning of the next round."""
        self.round, self.step = self.round + 1, 0

    @property
    def round_is_done(self) -> bool:
        """Whether no step is left of the round; False where unknown."""
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
