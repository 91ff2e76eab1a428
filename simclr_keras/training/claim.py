"""Claims a run directory for a run of one process, or of several together."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from simclr_keras import paths
from simclr_keras.distribute import workers
from simclr_keras.training.run_directory import RunDirectory


@contextlib.contextmanager
def claimed_run(
    path: paths.PathLike,
    strategy: tf.distribute.Strategy,
    flags: str,
    defaults: dict[str, str | None] | None = None,
    ignored: Collection[str] = (),
    change: Collection[str] = (),
    steps: Callable[[Mapping[str, str | None]], int] | None = None,
    data: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[tuple[RunDirectory, dict[str, Any] | None]]:
    """Takes a run directory; no other run can use it until the context ends.

    If there are several processes, only the chief reads the directory.

    Args:
        path: the directory; see `RunDirectory`.
        strategy: `tf.distribute.Strategy` of the run; all its processes must
            call this together.
        flags: see `RunDirectory.claim`.
        defaults: see `RunDirectory.claim`.
        ignored: see `RunDirectory.claim`.
        change: see `RunDirectory.claim`.
        steps: see `RunDirectory.claim`.
        data: see `RunDirectory.claim`.

    Yields:
        `RunDirectory`, and the dict of the run's results if it has finished,
        else None.

    Raises:
        ValueError: it is in use by another process, or holds another run.
    """
    run = RunDirectory(path)
    with contextlib.ExitStack() as held:

        def take():
            # Before the lock, which creates a file in the directory.
            run.refuse_foreign_files()
            _hold(run, held)
            run.claim(flags, defaults, ignored, change, steps, data)
            return None if run.has_new_flags else run.finished()

        yield run, workers.from_chief(strategy, take)


def _hold(run, held):
    try:
        held.enter_context(run.lock.held())
    except OSError as error:
        # The results of a finished run can be read from a read-only disk, on
        # which no other process can write either.
        read_only = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        if not (read_only and run.results.exists()):
            raise
