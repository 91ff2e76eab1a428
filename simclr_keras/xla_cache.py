"""Keeps what XLA has compiled on the disk, for the next start of a command.

Compiling the views takes most of the time before a first step. TensorFlow can
keep compiled programs in a directory and knows them by their content; it does
not notice where one was cut short or damaged. A file therefore counts only
with a seal, its checksum in a second file, which is written when the program
has run; files without a right one are deleted and compiled anew.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import sys

from simclr_keras import disk

_FLAGS = "TF_XLA_FLAGS"
_OPTION = "--tf_xla_persistent_cache_directory"
_PROGRAMS, _SEAL = "*.pb", ".sha256"
# A program of the views has 1 to 2 MB.
PROGRAMS_KEPT = 64
_OLDEST = (2, 16)


# Of `enable`.
_directory = None


def enable(root: pathlib.Path | None = None) -> pathlib.Path | None:
    """Lets this process take its compiled programs from disk, on CPUs.

    TensorFlow reads `TF_XLA_FLAGS` when it is imported, so this comes before.
    Nothing is changed where it is imported already, where `TF_XLA_FLAGS` names
    a cache, or where the directory cannot be written.

    Args:
        root: directory for the caches of all versions and processors. Defaults
            to `xla` in the directory of all caches.

    Returns:
        The directory of this version and processor, or None.
    """
    global _directory
    flags, version = os.environ.get(_FLAGS, ""), _version()
    if version is None or _OPTION in flags or "tensorflow" in sys.modules:
        return None
    root = disk.cache_directory() / "xla" if root is None else root
    directory = root.absolute() / version
    if any(space in str(directory) for space in " \t\n"):
        return None  # TF_XLA_FLAGS cannot quote
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _delete_damaged(directory)
        _delete_oldest(directory.parent)
    except OSError:
        return None
    if not os.access(directory, os.W_OK):
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

    When they have run, and at the end of the process in any case. Does nothing
    where no cache is enabled.
    """
    for path in _directory.glob(_PROGRAMS) if _directory else ():
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
    """Deletes programs without a right seal, and seals without a program."""
    for path in directory.glob(_PROGRAMS):
        sealed = path.with_suffix(_SEAL)
        if not sealed.exists() or sealed.read_text() != _checksum(path):
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


def _version():
    """Name for what a compiled program depends on: TensorFlow, processor.

    None for a TensorFlow with which this was not tried.
    """
    try:
        tensorflow = importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        return None
    if tuple(map(int, tensorflow.split(".")[:2])) < _OLDEST:
        return None
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    features = next((x for x in lines if x.startswith("flags")), "")
    text = f"{platform.machine()} {platform.processor()} {features}"
    processor = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"tensorflow-{tensorflow}-{processor}"
