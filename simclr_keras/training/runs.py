"""Finds the run that a checkpoint or an export belongs to."""

from __future__ import annotations

import re

from simclr_keras import paths
from simclr_keras.training.run_directory import RunDirectory


def find_run(path: paths.PathLike) -> RunDirectory | None:
    """Finds the run that a checkpoint or an export belongs to.

    Args:
        path: a run directory, a file or folder in it, or a path, existing or
            not, in its `checkpoints` or in one of its directories of exports.

    Returns:
        `RunDirectory`, or None.
    """
    path = paths.as_path(path, "checkpoint")
    if not paths.is_remote(path):
        path = path.absolute()
    folders = [path, path.parent] if path.exists() else [path]
    # Two levels up only if the folder between has one of our names, because
    # other files may lie anywhere.
    if re.fullmatch("checkpoints|export(_.+)?", path.parent.name):
        folders.append(path.parent.parent)
    for folder in folders:
        run = RunDirectory(folder)
        if run.flags.exists() or run.checkpoints.is_dir():
            return run
    return None
