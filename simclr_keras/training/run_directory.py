"""Names the files of a run directory, and checks which run it belongs to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from simclr_keras import old_runs
from simclr_keras import paths
from simclr_keras.training import checkpointing
from simclr_keras.training import environment
from simclr_keras.training import lock
from simclr_keras.training import run_data
from simclr_keras.training import run_settings
from simclr_keras.training.text_files import read_json
from simclr_keras.training.text_files import read_text
from simclr_keras.training.text_files import unused_path
from simclr_keras.training.text_files import write_whole

# Names of embeddings, and of the number of rows of incomplete ones.
# As `evaluation.embedding_files` names them.
_EMBEDDINGS = re.compile(r"embeddings(-\d+-of-\d+)?\.(npy|npy\.rows|parquet)")
# Flags that set the length of training.
_LENGTH = {"--train_epochs", "--train_steps"}


class RunDirectory:
    """Paths of the files of one run.

    Attributes:
        path: the directory.
        flags: `flags.txt`, re-runnable with `--flagfile`.
        data: `data.json`, which images and labels the run has.
        checkpoints: directory of checkpoints.
        tensorboard: directory of event files.
        metrics: `metrics.csv`, one row per logged interval and epoch.
        results: `results.json`, the final results.
        timing: `timing.json`, seconds and images per second.
        environment: `environment.json`, versions and configuration of every
            start.
        class_names: `class_names.txt` of a classifier, one name a line, which
            its export takes over.
        export: versions of the SavedModel; those of another format lie in
            `export_onnx` and the like beside it.
        lock: `RunLock` of the directory.

    Args:
        path: directory, local or such as `gs://bucket/run`; `claim` creates it
            if it is missing.
    """

    def __init__(self, path: paths.PathLike):
        self.path = paths.as_path(path, "model_dir")
        self.flags = self.path / "flags.txt"
        self.data = self.path / "data.json"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.metrics = self.path / "metrics.csv"
        self.results = self.path / "results.json"
        self.timing = self.path / "timing.json"
        self.environment = self.path / "environment.json"
        self.class_names = self.path / "class_names.txt"
        self.export = self.path / "export"
        self.lock = lock.RunLock(self.path)
        self._change = None
        self._flags_now = ""

    def claim(
        self,
        flags: str,
        defaults: Mapping[str, str | None] | None = None,
        ignored: Collection[str] = (),
        change: Collection[str] = (),
        steps: Callable[[Mapping[str, str | None]], int] | None = None,
        data: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Claims the directory for a run, or checks that it holds this run.

        If the run began under another release and only one of the two has a
        flag, its default makes no difference: the other release acts so.

        If flags change, `write_new_flags` writes the new ones to `flags.txt`,
        and the old ones to `flags.before.txt` (`flags.before-2.txt` and so on).
        The results of a finished run are then kept as
        `results.step-00000100.json` and the like.

        Args:
            flags: those of the run, text of `old_runs.flags_text`.
            defaults: dict of flag -> its default, a text or None.
            ignored: names of flags that make no difference.
            change: names of flags that may differ from those of an unfinished
                run.
            steps: function from a run's flags, a dict of `old_runs`, to its
                training steps. If given, the run, even a finished one, may
                become longer by `--train_epochs` and `--train_steps`.
            data: see `run_data.Data`. Defaults to None: unknown, and not
                compared.

        Raises:
            ValueError: the directory holds another run, other files, or a run
                of other images or labels.
        """
        self.refuse_foreign_files()
        self._flags_now = flags
        if not self.flags.exists() or not self._has_begun():
            self.path.mkdir(parents=True, exist_ok=True)
            run_data.note(self.data, data or {})
            write_whole(self.flags, flags)
            return
        there = read_text(self.flags)
        different = _differences(there, flags, defaults, ignored)
        allowed = {f"--{name}" for name in change}
        longer = steps is not None and self._becomes_longer(
            there, flags, different, steps
        )
        if longer:
            allowed |= _LENGTH
        elif self.results.exists():
            allowed = set()
        refused = {k: x for k, x in different.items() if k not in allowed}
        run_settings.refuse_other(self.path, refused)
        dropped = old_runs.dropped_flags(there, flags)
        if dropped:
            print(
                f"Ignored flags that this release does not have:"
                f" {' '.join(dropped)} of {self.flags}."
            )
        run_data.refuse_other(self.data, data or {})
        if different:
            self._change = there, flags

    @property
    def has_new_flags(self) -> bool:
        """Whether `claim` let flags change that are not written yet."""
        return self._change is not None

    def write_new_flags(self) -> None:
        """Writes the changed flags, once training has resumed with them.

        Not before: resuming compares the settings with the checkpoint, and a
        run that is refused then must stay as it was.
        """
        if self._change is None:
            return
        there, flags = self._change
        # First: beside the new flags, the results would seem to be theirs.
        self._keep_results()
        write_whole(unused_path(self.path / "flags.before.txt"), there)
        write_whole(self.flags, flags)
        self._change = None

    def record_start(self, **more: Any) -> None:
        """Adds a start to `environment.json`.

        Call it when work begins, and not before the run is known to be taken.

        Args:
            **more: see `environment.add_start`.
        """
        flags = self._flags_now and old_runs.parse_flags(self._flags_now)
        environment.add_start(self.environment, flags or {}, **more)

    def _becomes_longer(self, there, flags, different, steps):
        """Whether the run has more steps now; refuses fewer of the same run."""
        if not _LENGTH & set(different):
            return False
        here = old_runs.parse_flags(flags)
        there = {**here, **old_runs.parse_flags(there)}
        before, now = steps(there), steps(here)
        if now < before and set(different) <= _LENGTH:
            raise ValueError(
                "--train_epochs and --train_steps can only make a run longer"
                f" that has begun. Received: {now} steps"
                f" ({_text_of_length(here)}) for the run in {str(self.path)!r},"
                f" which has {before} ({_text_of_length(there)}). Name another"
                " directory for a shorter run."
            )
        if now > before and self.results.exists():
            if checkpointing.newest_intact(self.checkpoints) is None:
                raise ValueError(
                    "a run that has ended can only become longer from an"
                    " intact checkpoint. Received: the run in"
                    f" {str(self.path)!r}, which has none. Name another"
                    " directory to train anew."
                )
        return now > before

    def _keep_results(self):
        """Adds the number of steps to the names of a finished run's results."""
        results = self.finished()
        if results is None:
            return
        for path in (self.timing, self.results):
            if path.exists():
                name = f"{path.stem}.step-{results['steps']:08d}{path.suffix}"
                path.replace(path.with_name(name))

    def refuse_foreign_files(self) -> None:
        """Raises a ValueError if the directory holds files but no run."""
        if self.flags.exists() or not self.path.exists():
            return
        # Allows the lock, and a temporary file of it that a killed process
        # left.
        if any(lock.NAME not in path.name for path in self.path.iterdir()):
            raise ValueError(
                "model_dir must be new, empty, or the directory of the same"
                f" run. Received: {str(self.path)!r}, which holds files but no"
                " flags.txt; name another directory."
            )

    def _has_begun(self):
        """Whether there are outputs that depend on the flags."""
        outputs = [self.path / "cells", self.results, self.metrics]
        outputs += [self.checkpoints]
        return any(path.exists() for path in outputs) or any(
            _EMBEDDINGS.fullmatch(path.name) for path in self.path.iterdir()
        )

    def finished(self) -> dict[str, Any] | None:
        """Returns the results of a run that has ended, else None.

        Raises:
            ValueError: the file is damaged.
        """
        if not self.results.exists():
            return None
        return read_json(self.results)

    def settings(self) -> dict[str, str]:
        """Dict from flags to their values, strings; empty without a run."""
        if not self.flags.exists():
            return {}
        values = old_runs.parse_flags(read_text(self.flags))
        return {name: text for name, text in values.items() if text is not None}

    def write_class_names(self, names: Sequence[str]) -> None:
        """Writes a classifier's class names; refuses others than were there.

        Raises:
            ValueError: a checkpoint has other names.
        """
        now = [" ".join(str(name).splitlines()) for name in names]
        there = self.read_class_names()
        resumes = there and checkpointing.checkpoints(self.checkpoints)
        if resumes and there != now:
            raise ValueError(
                "labels must be those that the run in model_dir has. Received:"
                f" {', '.join(now[:5])}; it has {', '.join(there[:5])}"
            )
        write_whole(self.class_names, "".join(f"{name}\n" for name in now))

    def read_class_names(self) -> list[str] | None:
        """The class names that training wrote, or None."""
        if not self.class_names.exists():
            return None
        return self.class_names.read_text(encoding="utf-8").splitlines()

    def write_results(
        self, results: dict[str, Any], timing: dict[str, Any]
    ) -> None:
        """Writes `results.json` and `timing.json`, which ends the run."""
        write_whole(self.timing, json.dumps(timing, indent=2) + "\n")
        write_whole(self.results, json.dumps(results, indent=2) + "\n")


def _differences(there, flags, defaults, ignored):
    """Flags that differ between two texts; if commands differ, only these."""
    commands = tuple(
        old_runs.command_of(old_runs.parse_flags(text))
        for text in (there, flags)
    )
    if None not in commands and commands[0] != commands[1]:
        return {"command": commands}
    return old_runs.flag_differences(there, flags, defaults, ignored)


def _text_of_length(flags):
    name = "train_steps" if int(flags["train_steps"] or 0) else "train_epochs"
    return f"--{name}={flags[name]}"
