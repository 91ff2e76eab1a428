"""Records with what a run was started: versions, commit, configuration."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import pathlib
import platform
import subprocess
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

import simclr_keras
from simclr_keras import paths
from simclr_keras.training.text_files import read_json
from simclr_keras.training.text_files import write_whole

# Distributions that take part where they are installed.
_OTHERS = (
    *("numpy", "tensorflow-datasets", "tensorflow-addons", "keras-cv"),
    *("pillow", "matplotlib", "faiss-cpu", "umap-learn", "tf2onnx"),
)
_STARTS = "starts"


def add_start(
    path: paths.AnyPath, flags: Mapping[str, str | None], **more: Any
) -> None:
    """Adds a start to the file of a run; what is there stays.

    A damaged file is kept beside the new one.

    Args:
        path: path object of the file.
        flags: dict of `old_runs.parse_flags`; empty of a run without any.
        **more: further values for JSON; None is left out.
    """
    there = []
    if path.exists():
        try:
            there = read_json(path)[_STARTS]
        except (ValueError, KeyError):
            path.replace(path.with_name(f"{path.stem}.damaged{path.suffix}"))
    now = datetime.datetime.now(datetime.timezone.utc)
    start = {
        "started": now.isoformat(timespec="seconds"),
        **more,
        "versions": versions(),
        "commit": commit(),
        "flags": {name: _value(text) for name, text in flags.items()},
    }
    start = {name: x for name, x in start.items() if x not in (None, {})}
    text = json.dumps({_STARTS: [*there, start]}, indent=2)
    write_whole(path, f"{text}\n")


def versions() -> dict[str, str]:
    """Versions of Python and of all that computes, by their names."""
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "simclr_keras": simclr_keras.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    for name in _OTHERS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.lru_cache(maxsize=1)
def commit() -> str | None:
    """Commit of the clone that the package runs from, or None.

    With `-dirty` behind it where files differ from the commit.
    """
    clone = pathlib.Path(simclr_keras.__file__).resolve().parents[1]
    if not (clone / ".git").exists():
        return None
    command = "describe --always --dirty --abbrev=40 --exclude=*"
    try:
        said = subprocess.run(
            ["git", "-C", str(clone), *command.split()],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None


def _value(text):
    """Number, boolean or text of a flag; None of a flag without a value."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return text
    return value if isinstance(value, (bool, int, float)) else text
