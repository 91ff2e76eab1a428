"""Resumes a training from the newest intact checkpoint of its directory.

With several processes, the chief reads the file and sends it to the others,
which need not see its disk.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import paths
from simclr_keras.distribute import workers
from simclr_keras.training import checkpointing
from simclr_keras.training import run_settings
from simclr_keras.training import state
from simclr_keras.training.lock import RunLock
from simclr_keras.training.progress import Progress


def take_directory(lock: RunLock, strategy: tf.distribute.Strategy) -> None:
    """Locks the directory on the chief; all processes stop if that fails.

    Args:
        lock: `RunLock` of the run's directory.
        strategy: the model's `tf.distribute.Strategy`.

    Raises:
        ValueError: it is in use by another process.
    """
    workers.from_chief(strategy, lock.acquire)


def resume(
    model: keras.Model,
    settings: dict[str, str],
    progress: Progress,
    directory: paths.AnyPath,
    change_learning_rate: bool = False,
) -> dict[str, Any] | None:
    """Loads weights and optimizer, and makes `fit` begin at the right step.

    Call this in `on_train_begin`.

    Args:
        model: the model that is fitted.
        settings: `run_settings.of_model` of it.
        progress: new `Progress`, which is restored from the checkpoint.
        directory: the run's directory of checkpoints, empty for a new run.
        change_learning_rate: whether the learning rate may differ.

    Returns:
        Dict of the metrics' arrays. Keras is about to reset the metrics; after
        that, pass the dict to `state.write_metrics`. None if the metrics start
        from zero.

    Raises:
        ValueError: the directory holds another run, or one that cannot resume
            with this data set.
    """
    progress.settings = settings
    name, data = _newest(directory, model.distribute_strategy)
    if not data:
        progress.begin(int(compat.as_numpy(model.optimizer.iterations)))
        return None
    arrays, notes, _ = checkpointing.read(data)
    here, there = progress.settings, notes.get("identity", {})
    longer = None
    if _has_same_epochs(notes, progress.steps_per_epoch):
        longer = run_settings.allow_longer(there, here)
    if change_learning_rate:
        print(run_settings.allow_other_rate(there, here))
    different = run_settings.differences(there, here) if there else {}
    if different and all(map(run_settings.is_rate, different)):
        # Perhaps the same model goes on, and a callback has changed its rate.
        rate = compat.settable_learning_rate(model.optimizer)
        if state.has_rate(arrays, rate):
            different = {}
    run_settings.refuse_other(directory, different)
    if longer is None:
        _check_grouping(name, notes, progress.position)
    progress.restore(notes)
    progress.settings = {**here, **there}
    moved = longer is not None and progress.regroup()
    number, step = progress.fit_epoch, progress.step_in_fit_epoch
    if step and not progress.position.starts_within:
        raise ValueError(
            "the data set must be one of simclr_keras.data to go on within"
            f" an epoch. Received: {name}, {progress.where()}"
        )
    rate = compat.settable_learning_rate(model.optimizer)
    state.write_model(model, arrays)
    if change_learning_rate and rate is not None:
        model.optimizer.learning_rate = rate
    compat.set_resume_point(model, number, step)
    within = f", {progress.where()}" if step else ""
    said = f"Resumed from {name} (step {progress.step}{within})."
    if longer is not None:
        now = compat.learning_rate(model.optimizer)
        said += (
            f" The run has {longer[1]} steps now, {longer[0]} before; its"
            f" learning rate goes on at {now:.6g}."
        )
    print(said)
    # If the position is another one now, the metrics start from zero.
    return None if moved else state.metrics_alone(arrays)


def _has_same_epochs(notes, steps):
    """Whether the epochs of a checkpoint had `steps` steps, as far as known.

    Earlier releases did not note this. Then the noted position must agree with
    the noted training step. Only the last fit epoch of a `fit` may have fewer
    steps.
    """
    known = notes.get("steps_per_epoch")
    if known is not None or steps is None:
        return known == steps
    of_fit_epoch = notes.get("epochs_per_round", 1) * steps
    place = notes["epoch"] * of_fit_epoch + notes["step_in_epoch"]
    return place - of_fit_epoch < notes["step"] <= place


def _newest(directory, strategy):
    """Path and bytes of the newest intact checkpoint on the chief's disk."""
    name, data = "", b""
    if workers.is_chief(strategy):
        newest = checkpointing.newest_intact(directory)
        if newest is not None:
            name, data = str(newest), newest.read_bytes()
    name = workers.value_of_chief(strategy, name)
    return name, workers.broadcast(strategy, data)


def _check_grouping(name, notes, position):
    """Refuses batches that are grouped differently from the checkpoint."""
    here = position.epochs_per_fit_epoch
    there = notes.get("epochs_per_round", 1)
    # Runs that an early release began also note 1, however grouped.
    if there not in (1, here) and position.starts_within:
        raise ValueError(
            f"the data set must be grouped as before, {there} epochs of"
            f" the data in one of `fit`, to go on with {name}. Received:"
            f" {here}"
        )
