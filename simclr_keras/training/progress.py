"""Says where a training stands, beside the variables of its model.

Two words: an epoch is one pass over the data; a round is what `fit` calls an
epoch and its progress bar shows, which for few images is several epochs.
"""

import dataclasses

# Names in checkpoints, where they differ: those of the first release, which
# called a round an epoch.
_NOTED_AS = {"round": "epoch", "step_in_round": "step_in_epoch"}


@dataclasses.dataclass
class Progress:
    """Where a training stands; all but `steps_per_epoch` is in checkpoints.

    Attributes:
        step: training steps done.
        round: rounds done.
        step_in_round: steps done of the round that is running.
        epochs_per_round: epochs of the data in a round. 1 for a run of an
            earlier release, whose `metrics.csv` numbers rounds.
        log_sums: running sums of metrics when they were logged last.
        best: `{"name", "value", "step"}` of the best checkpoint, or None.
        identity: the run's settings when it began, of `identity.of`.
        steps_per_epoch: steps of one pass over the data, where it is known.
    """

    step: int = 0
    round: int = 0
    step_in_round: int = 0
    epochs_per_round: int = 1
    log_sums: dict = dataclasses.field(default_factory=dict)
    best: dict = None
    identity: dict = None
    steps_per_epoch: int = None

    @property
    def epoch(self):
        """Number of the epoch of the last step, from 0."""
        if self.epochs_per_round == 1 or not self.steps_per_epoch:
            return self.round
        within = max(0, self.step_in_round - 1) // self.steps_per_epoch
        return self.round * self.epochs_per_round + within

    def begin(self, model, step):
        """Notes what is known before the first step of a new run.

        Args:
            model: the model that is fitted; a `fit` of ours has noted how its
                data set is divided into epochs.
            step: steps that its optimizer has done before.
        """
        self.step = step
        self.epochs_per_round = getattr(model, "epochs_per_round", 1)

    def begin_round(self, number):
        """Begins a round at its first step."""
        self.round, self.step_in_round, self.log_sums = number, 0, {}

    def add(self, steps):
        """Counts steps that are done."""
        self.step += steps
        self.step_in_round += steps

    def end_round(self, number):
        """Counts a round that is done."""
        self.round, self.step_in_round, self.log_sums = number + 1, 0, {}

    def where(self):
        """`"2 steps into epoch 1"`, or of which round of several epochs."""
        kind = "epoch" if self.epochs_per_round == 1 else "round"
        return f"{self.step_in_round} steps into {kind} {self.round}"

    def notes(self):
        """Dict for a checkpoint."""
        notes = {_NOTED_AS.get(k, k): v for k, v in vars(self).items()}
        del notes["steps_per_epoch"]
        return notes

    def restore(self, notes):
        """Takes over the notes of a checkpoint, of any release.

        What another release does not note has its value of the beginning.
        """
        for field in dataclasses.fields(self):
            name = _NOTED_AS.get(field.name, field.name)
            if name in notes:
                setattr(self, field.name, notes[name])
