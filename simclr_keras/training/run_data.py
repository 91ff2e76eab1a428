"""Notes the images and labels of a run, and refuses others when it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from simclr_keras import paths
from simclr_keras.training.text_files import read_json
from simclr_keras.training.text_files import write_whole

# What images are used for, such as "training images" -> `data.fingerprint`.
Data = Mapping[str, Mapping[str, Any]]


def note(path: paths.AnyPath, data: Data) -> None:
    """Writes the file of a run that begins; without data there is none.

    Args:
        path: path object of the file.
        data: see `Data`.
    """
    if data:
        write_whole(path, json.dumps(data, indent=2) + "\n")
    else:
        path.unlink(missing_ok=True)


def refuse_other(path: paths.AnyPath, data: Data) -> None:
    """Compares what a run began with, as far as both are known.

    Args:
        path: see `note`. Runs of earlier releases have no such file.
        data: see `Data`.

    Raises:
        ValueError: images or labels have changed.
    """
    there = read_json(path) if path.exists() else {}
    run = str(path.parent)
    for use in data:
        if there.get(use, data[use]) == data[use]:
            continue
        then, now = there[use].get("images"), data[use]["images"]
        what = f"{now}, where the run in {run!r} has {then}"
        if then == now:
            what = (
                f"others than the {then} of the run in {run!r}, by their names,"
                " labels or sizes of files"
            )
        raise ValueError(
            f"the {use} of a run must not change once it has begun. Received:"
            f" {what}. Bring them back, or name another directory."
        )
