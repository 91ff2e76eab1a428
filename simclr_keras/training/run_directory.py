"""The directory that holds everything of a run, and whose run it is."""

import json
import os
import pathlib
import re

from simclr_keras.training import identity

# Flags that change what is shown, kept or where, not what is computed.
_FREE = (
    "cache",
    "cache_dir",
    "cache_gib",
    "checkpoint_epochs",
    "checkpoint_minutes",
    "checkpoint_steps",
    "data_dir",
    "download",
    "gcp_project",
    "jit",  # rounds otherwise, as another number of devices does
    "keep_checkpoint_max",
    "logical_cpus",
    "map",
    "model_dir",
    "neighbors",
    "neighbors_k",
    "preview_views",
    "profile_steps",
    "projector",
    "strategy",
    "tpu_name",
    "tpu_zone",
    "verbose",
)


class RunDirectory:
    """Files of one run.

    Attributes:
        path: the directory.
        flags: `flags.txt`, re-runnable with `--flagfile`.
        checkpoints: directory of checkpoints.
        tensorboard: directory of event files.
        metrics: `metrics.csv`, one row per logged interval and epoch.
        results: `results.json`, the final figures.
        timing: `timing.json`, seconds and images per second.
        export: versions of the SavedModel; those of another format lie in
            `export_onnx` and the like beside it.

    Args:
        path: directory, made by `claim` where it is missing.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.flags = self.path / "flags.txt"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.metrics = self.path / "metrics.csv"
        self.results = self.path / "results.json"
        self.timing = self.path / "timing.json"
        self.export = self.path / "export"

    def claim(self, flags):
        """Takes the directory for a run, or finds that it is this run's.

        Args:
            flags: the run's settings, text with a `--name=value` per line.

        Raises:
            ValueError: the directory holds another run, or something else.
        """
        if self.flags.exists() and self._begun():
            there = _parsed(self.flags.read_text(encoding="utf-8"))
            identity.refuse_other(self.path, there, _parsed(flags))
            return
        if (
            not self.flags.exists()
            and self.path.exists()
            and any(self.path.iterdir())
        ):
            raise ValueError(
                "model_dir must be new, empty, or the directory of the same"
                f" run. Received: {str(self.path)!r}, which holds files but no"
                " flags.txt; name another directory."
            )
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.flags, flags)

    def _begun(self):
        """Whether there is anything that other settings would spoil."""
        rows = self.path / "embeddings.npy"
        made = (self.results, self.metrics, rows, f"{rows}.rows")
        return self.checkpoints.exists() or any(map(os.path.exists, made))

    def finished(self):
        """The results of the run where it has ended, else None."""
        if not self.results.exists():
            return None
        return json.loads(self.results.read_text(encoding="utf-8"))

    def settings(self):
        """Dict of flag -> its value, a string; empty where no run began."""
        if not self.flags.exists():
            return {}
        text = self.flags.read_text(encoding="utf-8")
        return {name[2:]: value for name, value in _pairs(text)}

    def write_results(self, results, timing):
        """Writes `results.json` and `timing.json`; it ends the run."""
        write_whole(self.timing, json.dumps(timing, indent=2) + "\n")
        write_whole(self.results, json.dumps(results, indent=2) + "\n")


def find_run(path):
    """The run that a checkpoint belongs to.

    Args:
        path: a run directory, a file or folder in it, or what lies or lay in
            its `checkpoints` or in the directory of one of its exports.

    Returns:
        `RunDirectory`, or None.
    """
    path = pathlib.Path(path).absolute()
    folders = [path, path.parent] if path.exists() else [path]
    # Farther up only by a name of ours: a file may lie anywhere.
    if re.fullmatch("checkpoints|export(_.+)?", path.parent.name):
        folders.append(path.parent.parent)
    for folder in folders:
        run = RunDirectory(folder)
        if run.flags.is_file() or run.checkpoints.is_dir():
            return run
    return None


def write_whole(path, text):
    """Writes a file aside and renames it, so that it is never half there."""
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


def _parsed(flags):
    return {k: v for k, v in _pairs(flags) if k[2:] not in _FREE}


def _pairs(flags):
    """Pairs of `--name` and value, line by line."""
    for line in flags.splitlines():
        name, _, value = line.strip().partition("=")
        if name[:2] == "--":
            yield name, value
