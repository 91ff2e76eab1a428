"""Records every start of a run: versions, commit and configuration."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import math
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
from simclr_keras.training.text_files import unused_path
from simclr_keras.training.text_files import write_whole

# Distributions that the package uses if they are installed.
_OTHERS = (
    *("numpy", "tensorflow-datasets", "tensorflow-addons", "keras-cv"),
    *("pillow", "matplotlib", "faiss-cpu", "umap-learn", "tf2onnx"),
    *("pyarrow", "tifffile", "imagecodecs", "pydicom"),
    "array_record",
)
_STARTS = "starts"


def add_start(
    path: paths.AnyPath, flags: Mapping[str, str | None], **more: Any
) -> None:
    """Appends a start to the file of a run, after the earlier starts.

    A damaged file is renamed, and a new one is written.

    Args:
        path: path object of the file.
        flags: dict from `old_runs.parse_flags`; empty if the run has no flags.
        **more: further entries, values for JSON; those that are None or {} are
            left out.
    """
    there = []
    if path.exists():
        try:
            there = _read_starts(path)
        except (ValueError, KeyError, TypeError):
            aside = path.with_name(f"{path.stem}.damaged{path.suffix}")
            path.replace(unused_path(aside))
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


def first_model(path: paths.AnyPath) -> dict[str, str]:
    """Reads the configuration of the model at the first start of a run.

    Args:
        path: path object of the file.

    Returns:
        Dict from names such as `"views.image_size.0"` to text; empty if the
        file is missing or damaged.
    """
    try:
        return _read_starts(path)[0].get("model", {})
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}


def _read_starts(path):
    starts = read_json(path)[_STARTS]
    if not isinstance(starts, list):
        raise ValueError(f"{_STARTS} must be a list. Received: {starts!r}")
    return starts


def versions() -> dict[str, str]:
    """Dict of name -> version of Python, platform and the packages in use."""
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

    It ends in `-dirty` if tracked files differ from the commit.
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
    """Number, boolean or text of a flag; None for a flag without a value."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return text
    # NaN and infinity are no JSON.
    number = isinstance(value, (bool, int, float)) and math.isfinite(value)
    return value if number else text
