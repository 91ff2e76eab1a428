"""Keeps XLA's compiled programs on disk, for the next start of a command.

Compiling the views takes most of the time before a first step. TensorFlow can
keep compiled programs in a directory, and identifies them by their content, but
it does not notice a truncated or damaged file. A file is therefore used only if
it has a seal: its checksum in a second file, which is written after the first
step. Files without a correct seal are deleted and compiled again.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import sys

from simclr_keras import disk
from simclr_keras import processor

_FLAGS = "TF_XLA_FLAGS"
_OPTION = "--tf_xla_persistent_cache_directory"
_PROGRAMS, _SEAL = "*.pb", ".sha256"
# A program of the views has 1 to 2 MB, a step with `--jit=on` more.
PROGRAMS_KEPT = 64
# Oldest TensorFlow with which this was tried. It is not in `compat`, as that
# imports TensorFlow.
_OLDEST = (2, 21)

# What `enable` has returned in this process.
_directory = None


def enable(root: pathlib.Path | None = None) -> pathlib.Path | None:
    """Makes this process read its compiled programs from disk, on CPUs.

    Call it before TensorFlow is imported, which reads `TF_XLA_FLAGS` then. It
    changes nothing if TensorFlow is imported already or older than 2.21, if
    `TF_XLA_FLAGS` names a cache or a file of flags, or if the directory cannot
    be written or has a space in its path.

    Args:
        root: directory for the caches of all versions and processors. Defaults
            to `xla` in the directory of all caches.

    Returns:
        The directory of this version and processor, or None.
    """
    global _directory
    flags, known = os.environ.get(_FLAGS, "").strip(), version()
    if known is None or _OPTION in flags or "tensorflow" in sys.modules:
        return None
    if flags and not flags.startswith("-"):
        return None  # TensorFlow takes it for the name of a file
    try:
        root = disk.cache_directory() / "xla" if root is None else root
        directory = root.absolute() / known
        directory.mkdir(parents=True, exist_ok=True)
        _delete_damaged(directory)
        with contextlib.suppress(FileNotFoundError):  # by another process
            _delete_oldest(directory.parent)
    except (OSError, RuntimeError):  # RuntimeError: there is no home directory
        return None
    has_space = len(str(directory).split()) > 1  # TF_XLA_FLAGS cannot quote
    if has_space or not os.access(directory, os.W_OK):
        return None
    os.environ[_FLAGS] = (
        f"{flags} {_OPTION}={directory}"
        " --tf_xla_persistent_cache_device_types=CPU,XLA_CPU_JIT"
        " --tf_xla_persistent_cache_prefix=views"
    ).strip()
    _directory = directory
    atexit.register(seal)
    return directory


def seal() -> None:
    """Writes the checksums of programs that have none yet.

    Called after the first training step and at the end of the process. Does
    nothing if no cache is enabled.
    """
    if _directory is None:
        return
    for path in _directory.glob(_PROGRAMS):
        sealed = path.with_suffix(_SEAL)
        if sealed.exists():
            continue
        try:
            text = _checksum(path)
            temporary = sealed.with_suffix(f".{os.getpid()}")
            temporary.write_text(text)
            temporary.replace(sealed)
        except OSError:
            continue  # gone, or the disk is full: compiled again next time


def _delete_damaged(directory):
    """Deletes programs without a correct seal, and seals without a program."""
    for path in directory.glob(_PROGRAMS):
        sealed = path.with_suffix(_SEAL)
        try:
            intact = sealed.read_bytes() == _checksum(path).encode()
        except FileNotFoundError:  # not sealed, or deleted by another process
            intact = False
        if not intact:
            sealed.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
    for sealed in directory.glob(f"*{_SEAL}"):
        if not sealed.with_suffix(".pb").exists():
            sealed.unlink(missing_ok=True)


def _delete_oldest(root):
    """Keeps the newest programs of all versions."""
    paths = sorted(
        root.glob(f"*/{_PROGRAMS}"), key=lambda path: path.stat().st_mtime
    )
    for path in paths[:-PROGRAMS_KEPT]:
        path.with_suffix(_SEAL).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def version() -> str | None:
    """Name of what programs depend on: TensorFlow, processor, `XLA_FLAGS`.

    None if TensorFlow is not installed, or older than `_OLDEST`.
    """
    try:
        tensorflow = importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        return None
    if tuple(map(int, tensorflow.split(".")[:2])) < _OLDEST:
        return None
    names = ("flags", "Features")  # of x86, of ARM
    lines = processor.description()
    features = next((x for x in lines if x.startswith(names)), "")
    options = os.environ.get("XLA_FLAGS", "")
    text = f"{platform.machine()} {features} {options}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"tensorflow-{tensorflow}-{digest}"
