"""Decodes a source once and keeps the pixels, in memory or on the disk.

Batches are the same, bit for bit, as without a cache. Each of several processes
caches the whole source, because every epoch is reshuffled, so that in time each
process reads every image. On a disk they share one file.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil

import numpy as np

from simclr_keras import paths
from simclr_keras.choices import CACHES
from simclr_keras.data import cache_files
from simclr_keras.data import corrupt
from simclr_keras.data import decoded
from simclr_keras.data import examples
from simclr_keras.data.sources.source import Source
from simclr_keras.distribute.strategy import workers_here

# Number of images whose headers give an estimate of the size of all, and the
# estimate's safety factor.
_SAMPLE, _SAFETY = 512, 1.5
_GIB = 2**30


def cached(
    source: Source,
    cache: str = "auto",
    *,
    directory: paths.PathLike | None = None,
    limit: int | None = None,
    epochs: float | None = None,
) -> Source:
    """Decodes the images of a source once, for all epochs.

    Args:
        source: `Source`. It is returned unchanged if its images are in memory
            already, or are streamed from record files.
        cache: `"memory"`; `"disk"`, a file that later runs use again;
            `"none"`; or `"auto"` (default), which is memory. Images that do not
            fit are left encoded, and a printed line says so.
        directory: where files are kept. Default: `simclr_keras` in
            `XDG_CACHE_HOME`, else in `~/.cache`.
        limit: bytes that the images may take. Default: half of the free memory,
            divided by the number of processes of a training on this machine; on
            the disk, half of the free space.
        epochs: number of passes over the images in the whole training, perhaps
            a fraction; `"auto"` does not cache for one pass or less. Default
            None: many passes.

    Returns:
        `Source` whose `decoded` holds the pixels, or `source` itself.

    Raises:
        ValueError: `cache` is not allowed, `directory` is not local, or an
            image cannot be decoded; the message names it.
    """
    if cache not in CACHES:
        raise ValueError(
            f"`cache` must be one of {', '.join(CACHES)}. Received:"
            f" cache={cache!r}"
        )
    directory = cache_files.local_directory(directory)
    held = source.images is not None or source.decoded is not None
    once = cache == "auto" and epochs is not None and epochs <= 1
    if cache == "none" or held or once:
        return source
    if source.records is not None:
        if cache != "auto":
            print(
                f"No cache: {source.name} is larger than what is kept in"
                " memory (memory_limit), and is streamed from its record files."
            )
        return source
    if cache == "disk":
        made = _on_disk(source, directory, limit)
    else:
        made = _in_memory(source, directory, limit)
    if made is None:
        return source
    bad = made.decoded.sizes[:, 0] == 0
    if bad.any():
        names = corrupt.names_of(source, bad)
        raise ValueError(f"{examples.CORRUPT} {', '.join(names[:10])}")
    return made


def _in_memory(source, directory, limit):
    # Each process on this machine keeps a copy.
    allowed = free_memory() // 2 // workers_here() if limit is None else limit
    sizes = _sizes_that_fit(source, allowed, "memory", directory)
    if sizes is None:
        return None
    _, length = decoded.layout(sizes, source.num_channels)
    array = decoded.in_memory(length)
    _say_begin(source, length, "memory")
    sizes = _fill(source, sizes)(array)
    return _with_pixels(source, array, sizes)


def _on_disk(source, directory, limit):
    path = cache_files.place(directory, source)
    with cache_files.alone(path):
        mark = cache_files.contents(source)
        found = cache_files.read(path, mark)
        if isinstance(found, str):
            if path.exists():
                print(f"The cache {path} {found}: it is made anew.")
                shutil.rmtree(path)
            room = shutil.disk_usage(directory).free // 2
            allowed = room if limit is None else limit
            sizes = _sizes_that_fit(source, allowed, "disk", directory)
            if sizes is None:
                return None
            _, length = decoded.layout(sizes, source.num_channels)
            _say_begin(source, length, str(path))
            cache_files.write(path, mark, length, _fill(source, sizes))
            found = cache_files.read(path, mark)
            if isinstance(found, str):
                raise OSError(f"the cache {path} {found}")
        else:
            print(f"Decoded images of {source.name} {source.split}: {path}")
    return _with_pixels(source, *found)


def _fetch(source):
    return examples.Examples(source).fetch


def _fill(source, sizes):
    def fill(array):
        return decoded.fill(
            array,
            _fetch(source),
            sizes,
            max_pixels=source.max_pixels,
            pixel_range=source.pixel_range,
            channels=source.channels,
        )

    return fill


def _with_pixels(source, array, sizes):
    channels = source.num_channels
    starts, _ = decoded.layout(sizes, channels)
    buffer = decoded.Buffer(array)
    pixels = decoded.Decoded(buffer, starts, sizes, channels)
    return dataclasses.replace(source, decoded=pixels, encoded=None)


def _sizes_that_fit(source, allowed, kind, directory):
    """Sizes of all images; None, after a message, if they need too much."""
    count = source.num_examples
    fetch = _fetch(source)

    def read_sizes(rows):
        return decoded.read_sizes(
            fetch, source.max_pixels, rows, source.channels
        )

    if count > 4 * _SAMPLE:
        rows = np.linspace(0, count - 1, _SAMPLE).astype(np.int64)
        some = decoded.layout(read_sizes(rows), source.num_channels)
        about = some[1] / _SAMPLE * count
        if about > _SAFETY * allowed:
            _say_too_large(source, about, "about ", allowed, kind, directory)
            return None
    sizes = read_sizes(np.arange(count))
    _, length = decoded.layout(sizes, source.num_channels)
    if length > allowed:
        _say_too_large(source, length, "", allowed, kind, directory)
        return None
    return sizes


def _say_begin(source, length, where):
    print(
        f"Decoding {source.num_examples} images of {source.name}"
        f" {source.split} once: {_gib(length)} in {where}."
    )


def _say_too_large(source, needed, about, allowed, kind, directory):
    text = (
        f"No cache: {source.num_examples} images of {source.name}"
        f" {source.split} need {about}{_gib(needed)} decoded, and the {kind}"
        f" has {_gib(allowed)} for them. They are decoded in every epoch"
        " instead."
    )
    room = shutil.disk_usage(_existing(directory)).free // 2
    if kind == "memory" and needed < room:
        text += (
            f" A cache on the disk would fit: cache=disk, {_gib(room)} in"
            f" {directory}."
        )
    print(text)


def _existing(directory):
    path = pathlib.Path(directory)
    while not path.exists():
        path = path.parent
    return path


def _gib(count):
    return f"{count / _GIB:.1f} GiB" if count >= _GIB / 10 else _mib(count)


def _mib(count):
    return f"{count / 2**20:.1f} MiB"


def free_memory() -> int:
    """Free memory in bytes, within the limit of a container if it has one."""
    free = []
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        numbers = dict(line.split(":") for line in lines)
        free.append(int(numbers["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        pages = os.sysconf("SC_PHYS_PAGES") // 2
        free.append(pages * os.sysconf("SC_PAGE_SIZE"))
    group = pathlib.Path("/sys/fs/cgroup")
    try:
        most = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        free.append(max(0, most - used))
    except (OSError, ValueError):
        pass  # no container, or one without a limit
    return min(free)
