"""The directory that holds everything of a run, and whose run it is."""

import json

from simclr_keras import paths
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
        export: versions of the SavedModel.
        export_onnx: versions of the ONNX file.

    Args:
        path: directory, local or such as `gs://bucket/run`, made by `claim`
            where it is missing.
    """

    def __init__(self, path):
        self.path = paths.as_path(path, "model_dir")
        self.flags = self.path / "flags.txt"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.metrics = self.path / "metrics.csv"
        self.results = self.path / "results.json"
        self.timing = self.path / "timing.json"
        self.export = self.path / "export"
        self.export_onnx = self.path / "export_onnx"

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
        names = ("embeddings.npy", "embeddings.npy.rows")
        made = [self.path / name for name in names]
        made += [self.results, self.metrics, self.checkpoints]
        return any(path.exists() for path in made)

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


def write_whole(path, text):
    """Writes a file aside and renames it, so that it is never half there."""
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _parsed(flags):
    return {k: v for k, v in _pairs(flags) if k[2:] not in _FREE}


def _pairs(flags):
    """Pairs of `--name` and value, line by line."""
    for line in flags.splitlines():
        name, _, value = line.strip().partition("=")
        if name[:2] == "--":
            yield name, value
