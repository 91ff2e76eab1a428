"""Keeps the progress of a training that its model's variables do not tell.

An epoch is one pass over the data. A fit epoch is what `fit` calls an epoch and
its progress bar shows; with few images, it has several epochs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from simclr_keras.models.fit_position import FitPosition

# Names in a checkpoint's notes, in this order, and the attributes of `Progress`
# that they store. The names are those of earlier releases, which called a fit
# epoch an epoch or a round.
_NOTES = {
    "step": "step",
    "epoch": "fit_epoch",
    "step_in_epoch": "step_in_fit_epoch",
    "epochs_per_round": "epochs_per_fit_epoch",
    "steps_per_epoch": "steps_per_epoch",
    "log_sums": "log_sums",
    "best": "best",
    "identity": "settings",
}


@dataclasses.dataclass
class Progress:
    """Progress of a training, of which this `fit` runs the rest.

    Attributes:
        position: `FitPosition` of this `fit`, which counts its steps.
        steps_before: training steps done before this `fit`.
        epochs_per_fit_epoch: epochs of the data in a fit epoch. 1 for a run of
            an earlier release, whose `metrics.csv` numbers fit epochs.
        log_sums: running sums of metrics when they were logged last.
        best: `{"name", "value", "step"}` of the best checkpoint, or None.
        settings: the run's settings when it began, of `run_settings.of_model`.
    """

    position: FitPosition
    steps_before: int = 0
    epochs_per_fit_epoch: int = 1
    log_sums: dict = dataclasses.field(default_factory=dict)
    best: dict | None = None
    settings: dict | None = None

    @property
    def step(self) -> int:
        """Training steps done."""
        return self.steps_before + self.position.done

    @property
    def fit_epoch(self) -> int:
        """Fit epochs done."""
        return self.position.fit_epoch

    @property
    def step_in_fit_epoch(self) -> int:
        """Steps done of the fit epoch that is running."""
        return self.position.step

    @property
    def steps_per_epoch(self) -> int | None:
        """Steps of a pass over the data; None where unknown."""
        return self.position.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Number of the epoch of the last step, from 0."""
        steps = self.position.steps_per_epoch
        if self.epochs_per_fit_epoch == 1 or not steps:
            return self.fit_epoch
        within = max(0, self.step_in_fit_epoch - 1) // steps
        return self.fit_epoch * self.epochs_per_fit_epoch + within

    def passed(self, every: int) -> bool:
        """`FitPosition.passed`, counted from the first step of the run."""
        return self.position.passed(every, self.steps_before)

    def has_come_to(self, step: int) -> bool:
        """Whether a step of the run is done.

        It counts by fit epochs if their length is known, because `self.step`
        includes the steps of another `fit` before the run.
        """
        here = self.position
        if here.steps is None:
            return self.step >= step
        return here.fit_epoch * here.steps + here.step >= step

    def begin(self, step: int) -> None:
        """Sets the counts before the first step of a new run.

        Args:
            step: steps that the model's optimizer has done before.
        """
        self.steps_before = step
        self.epochs_per_fit_epoch = self.position.epochs_per_fit_epoch

    def where(self) -> str:
        """Text such as `"2 steps into epoch 1"`, or `"... fit epoch 1"`.

        They are numbered from 1 here, as Keras shows them.
        """
        kind = "epoch" if self.epochs_per_fit_epoch == 1 else "fit epoch"
        number = self.fit_epoch + 1
        return f"{self.step_in_fit_epoch} steps into {kind} {number}"

    def notes(self) -> dict[str, Any]:
        """Dict for a checkpoint."""
        return {name: getattr(self, own) for name, own in _NOTES.items()}

    def restore(self, notes: dict[str, Any]) -> None:
        """Restores the notes of a checkpoint, of any release.

        Attributes that the notes lack keep their initial values.
        """
        self.steps_before = notes.get("step", 0)
        self.position.resume_at(
            notes.get("epoch", 0), notes.get("step_in_epoch", 0)
        )
        for name in ("epochs_per_round", "log_sums", "best", "identity"):
            if name in notes:
                setattr(self, _NOTES[name], notes[name])

    def regroup(self) -> bool:
        """Finds the position of a restored run that has become longer.

        It may change: the last fit epoch of a finished run counted as a whole
        one, however few steps it had, and with few images a longer run may have
        more epochs in a fit epoch.

        Returns:
            Whether the position is another one than was restored.
        """
        here, steps = self.position.epochs_per_fit_epoch, self.steps_per_epoch
        if not self.position.starts_within or not steps:
            return False
        there, self.epochs_per_fit_epoch = self.epochs_per_fit_epoch, here
        noted = self.fit_epoch, self.step_in_fit_epoch
        done = self.step
        # Runs that an early release began also note 1, however grouped.
        if there == here or there > 1:
            # Only `self.step` counts the steps of another `fit` before the run.
            done = min(done, noted[0] * there * steps + noted[1])
        place = divmod(done, here * steps)
        self.position.resume_at(*place)
        return place != noted
