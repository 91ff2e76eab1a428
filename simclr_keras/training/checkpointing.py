"""Writes and reads the checkpoints of a run, one file each.

A checkpoint `step-XXXXXXXX.npz` is a zip archive, as `numpy.savez` writes it,
with all variables of model, optimizer and metrics; `model.json`, the model's
Keras configuration; and `notes.json`, the progress of the run. It is written
under a temporary name, then renamed. The archive's checksums show whether it is
intact. A checkpoint whose weights are not finite, which earlier releases could
write, does not count as intact either.
"""

from __future__ import annotations

import io
import json
import os
import threading
import warnings
import zipfile
from typing import Any

import keras
import numpy as np

from simclr_keras import paths
from simclr_keras.training import finite
from simclr_keras.training import state

_MODEL, _NOTES = "model.json", "notes.json"
_NAME = "step-{:08d}.npz"
BEST = "best.npz"
# Bytes read at a time.
_CHUNK = 2**20


def pack(model: keras.Model, notes: dict[str, Any]) -> dict[str, Any]:
    """Reads the content of a checkpoint from the model.

    All processes of a training must call this together.

    Args:
        model: compiled `keras.Model`.
        notes: dict for JSON; its `step` is the number of training steps done.

    Returns:
        Dict of arrays and texts, for `Writer`.
    """
    config = keras.saving.serialize_keras_object(model)
    return {
        **state.read(model),
        _MODEL: json.dumps(config),
        _NOTES: json.dumps(notes),
    }


class Writer:
    """Writes checkpoints in the background, one after the other.

    Args:
        directory: the run's directory of checkpoints.
        keep: how many of the newest stay; 0 keeps all.
    """

    def __init__(self, directory: paths.PathLike, keep: int):
        self._directory = paths.as_path(directory)
        self._keep = keep
        self._thread = self._error = None

    def submit(self, packed: dict[str, Any], best: bool = False) -> None:
        """Starts to write a checkpoint, once the one before is written.

        Args:
            packed: dict of `pack`.
            best: whether it replaces `best.npz` too.

        Raises:
            RuntimeError: the checkpoint before could not be written.
        """
        self.wait()
        # Not a daemon, so that the process does not end before the file is
        # complete.
        self._thread = threading.Thread(target=self._run, args=(packed, best))
        self._thread.start()

    def join(self) -> None:
        """Waits until nothing is being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def newest(self) -> paths.AnyPath | None:
        """The newest intact checkpoint, the one being written included."""
        self.wait()
        return newest_intact(self._directory)

    def wait(self) -> None:
        """Waits as `join` does, and raises the error of a failed write.

        Raises:
            RuntimeError: a checkpoint could not be written.
        """
        self.join()
        if self._error is not None:
            error, self._error = self._error, None
            newest = newest_intact(self._directory)
            rest = "There is none before it"
            if newest is not None:
                rest = f"The one before is intact: {newest}"
            raise RuntimeError(
                f"a checkpoint could not be written ({error}). {rest}. Make"
                " room, then run the same command again to go on from there."
            ) from error

    def _run(self, packed, best):
        try:
            write(self._directory, packed, self._keep, best)
        except Exception as error:  # `wait` raises it in the main thread
            self._error = error


def write(
    directory: paths.PathLike,
    packed: dict[str, Any],
    keep: int = 0,
    best: bool = False,
) -> paths.AnyPath:
    """Writes a checkpoint; a crash while writing leaves the others unchanged.

    Args:
        directory: the run's directory of checkpoints.
        packed: dict of `pack`.
        keep: how many of the newest stay; 0 keeps all.
        best: whether it replaces `best.npz` too.

    Returns:
        Path object of the checkpoint.
    """
    directory = paths.as_path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / _NAME.format(json.loads(packed[_NOTES])["step"])
    aside, best_aside = directory / ".partial", directory / ".best.partial"
    try:
        with aside.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.comment = _comment(len(packed))
                for name, value in packed.items():
                    _add(archive, name, value)
            file.flush()
            os.fsync(file.fileno())
        if best:
            # Before the checkpoint, whose notes say that it is the best one.
            paths.link_or_copy(aside, best_aside)
            best_aside.replace(directory / BEST)
        aside.replace(path)
    finally:
        for left in (aside, best_aside):
            left.unlink(missing_ok=True)
    # Later ones are damaged: otherwise the run would have resumed from them.
    older = [other for other in checkpoints(directory) if other <= path]
    for old in older[:-keep] if keep else ():
        old.unlink()
    return path


def _comment(count):
    """Comment of an archive, whose list of members has no checksum."""
    return f"{count} members".encode()


def _add(archive, name, value):
    if isinstance(value, str):
        archive.writestr(name, value)
        return
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.asanyarray(value))


def checkpoints(directory: paths.PathLike) -> list[paths.AnyPath]:
    """The checkpoints of a directory, oldest first, intact or not."""
    return sorted(paths.as_path(directory).glob("step-*.npz"))


def newest_intact(directory: paths.PathLike) -> paths.AnyPath | None:
    """The newest checkpoint that can be read, or None.

    A damaged one is named in a warning and the one before it is taken.
    """
    for checkpoint in reversed(checkpoints(directory)):
        problem = problem_of(checkpoint)
        if problem is None:
            return checkpoint
        warnings.warn(
            f"checkpoint {checkpoint} is damaged ({problem}); the one before"
            " it, if there is one, is used.",
            stacklevel=2,
        )
    return None


def problem_of(path: paths.AnyPath) -> str | None:
    """What is wrong with the checkpoint at a path, or None."""
    try:
        with path.open("rb") as file:
            return _problem(file)
    except OSError as error:
        return str(error)


def _problem(file):
    """What is wrong with a checkpoint, a file open for reading, or None."""
    try:
        with zipfile.ZipFile(file) as archive:
            # `testzip` would find members by name, and a damaged name can be
            # that of another member.
            for member in archive.infolist():
                with archive.open(member) as content:
                    good = _is_finite(member.filename, content)
                    while content.read(_CHUNK):  # to the end and its checksum
                        pass
                if not good:
                    return f"{member.filename} is not finite"
            missing = {_MODEL, _NOTES} - set(archive.namelist())
            if missing:
                return f"no {min(missing)} in it"
            if archive.comment != _comment(len(archive.infolist())):
                return "wrong list of members"
    except Exception as error:  # a damaged header can raise anything
        return str(error) or type(error).__name__
    return None


def _is_finite(filename, file):
    name, _, kind = filename.rpartition(".")
    if kind != "npy":
        return True
    return finite.is_finite(name, np.lib.format.read_array(file))


def read(
    data: paths.PathLike | bytes,
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, Any]]:
    """`(arrays, notes, configuration of the model)` of a checkpoint.

    Args:
        data: path, or the file's bytes.
    """
    if isinstance(data, bytes):
        opened = io.BytesIO(data)
    else:
        opened = paths.as_path(data).open("rb")
    arrays = {}
    with opened as file, np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            arrays[name] = archive[name]
    texts = [json.loads(arrays.pop(name)) for name in (_NOTES, _MODEL)]
    return arrays, *texts


def read_config(path: paths.PathLike) -> dict[str, Any]:
    """Configuration of the model of a checkpoint, without its arrays."""
    with paths.as_path(path).open("rb") as file:
        with np.load(file, allow_pickle=False) as archive:
            return json.loads(archive[_MODEL])
