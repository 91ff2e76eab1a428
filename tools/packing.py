"""Packs a folder of images into shards of records; tools/pack_folder runs it.

Files are copied unchanged, in the order in which `folder:` reads them and with
its labels. A shard is written under another name and renamed when it is
complete, so that the same command resumes where an earlier one was stopped.
`packed.json` records which images the shards contain.
"""

import argparse
import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import shlex
import sys
import time

import numpy as np
import tensorflow as tf

from simclr_keras import choices
from simclr_keras import paths
from simclr_keras.data import corrupt
from simclr_keras.data.sources import arrayrecord_format
from simclr_keras.data.sources import folder as folders
from simclr_keras.training.lock import RunLock

PLAN = "packed.json"
_WRITERS = {
    "tfrecord": tf.io.TFRecordWriter,
    "arrayrecord": arrayrecord_format.writer,
}


def main(arguments):
    """Parses the flags and packs; on an error, ends with its text."""
    options = _parse(arguments)
    try:
        pack(
            options.folder,
            options.output,
            int(options.shard_mib * 2**20),
            options.folder_layout,
            options.format,
        )
    except (ValueError, OSError, ImportError, tf.errors.OpError) as error:
        sys.exit(f"Error: {error}")


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/pack_folder",
        description="Packs a folder of images into TFRecord or ArrayRecord"
        " shards. The same command again goes on where the last one ended.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--folder", required=True, help="of images, as folder: reads it")
    add("--output", required=True, help="folder of the shards, new or empty")
    add("--shard_mib", type=float, default=128.0, help="default: 128 MiB")
    add("--format", default="tfrecord", choices=_WRITERS)
    add("--folder_layout", default="auto", choices=choices.FOLDER_LAYOUTS)
    options = parser.parse_args(arguments)
    if not 1 <= options.shard_mib * 2**20 < float("inf"):
        parser.error(
            "--shard_mib must be a byte at least. Received:"
            f" {options.shard_mib}"
        )
    return options


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """A split of the folder, and its division into shards.

    Attributes:
        source: `Source` of its files.
        sizes: `int64` `[n]`, sizes of the files in bytes.
        times: `int64` `[n]`, times of their last change in nanoseconds.
        starts: index of the first image of each shard; at the end, n.
    """

    source: object
    sizes: np.ndarray
    times: np.ndarray
    starts: np.ndarray

    def shards(self, output, kind):
        """Yields the path of each shard and the rows of its images."""
        count = len(self.starts) - 1
        for number in range(count):
            name = f"{self.source.split}-{number:05}-of-{count:05}.{kind}"
            yield output / name, range(*self.starts[number : number + 2])


def pack(folder, output, shard_bytes, folder_layout="auto", kind="tfrecord"):
    """Writes the missing shards of all splits of a folder.

    Args:
        folder: path of the images, local or with a scheme.
        output: directory of the shards, likewise.
        shard_bytes: bytes of images after which the next shard begins.
        folder_layout: see `layout.find`.
        kind: format of the shards, `"tfrecord"` or `"arrayrecord"`.

    Raises:
        ValueError: there are no images, `output` holds something else, or
            another process packs into it; or it is not local, and the format is
            ArrayRecord.
        ImportError: ArrayRecord needs array_record, which is not installed.
    """
    root = paths.as_path(folder, "--folder").expanduser()
    output = paths.as_path(output, "--output").expanduser()
    if kind == "arrayrecord":
        arrayrecord_format.check_installed()
        if paths.is_remote(output):
            raise ValueError(
                "--output must be local for --format=arrayrecord. Received:"
                f" {output}"
            )
    splits = [
        _split(source, shard_bytes)
        for source in folders.open_splits(root, folder_layout)
    ]
    _claim(output, _plan(root, splits, kind))
    # Two processes would write the same temporary files.
    with RunLock(output).held():
        for split in splits:
            print(split.source.summary(), flush=True)
            _write_split(output, root, split, kind)
    place = glob.escape(str(output.resolve()))
    dataset = shlex.quote(f"--dataset={kind}:{place}/{{split}}-*")
    print(f"Packed; read it by {dataset}")


def _split(source, shard_bytes):
    corrupt.check_names(source.files)
    about = [paths.as_path(path).stat() for path in source.files]
    sizes = np.array([each.st_size for each in about], np.int64)
    times = np.array([each.st_mtime_ns for each in about], np.int64)
    numbers = (np.cumsum(sizes) - sizes) // shard_bytes
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    return Split(source, sizes, times, np.append(starts, len(sizes)))


def _plan(root, splits, kind):
    """Dict for `packed.json`; it is equal only if the shards would be equal."""
    digest = hashlib.blake2b(digest_size=16)
    for split in splits:
        source = split.source
        for each in (split.sizes, split.times, split.starts, source.labels):
            digest.update(repr(each is not None and each.tolist()).encode())
        digest.update(repr([source.split, source.class_names]).encode())
        digest.update(repr(source.files.tolist()).encode())
    return {
        **({} if kind == "tfrecord" else {"format": kind}),  # as before
        "folder": str(root),
        "digest": digest.hexdigest(),
        "splits": {
            split.source.split: {
                "images": split.source.num_examples,
                "shards": len(split.starts) - 1,
                "class_names": split.source.class_names,
            }
            for split in splits
        },
    }


def _claim(output, plan):
    """Makes the folder and its `packed.json`; refuses one with other files."""
    text = json.dumps(plan, indent=2) + "\n"
    file = output / PLAN
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output must be a folder. Received: {output}")
    if file.exists():
        if file.read_text(encoding="utf-8") != text:
            raise ValueError(
                "--output must be a new folder, or one where the same images"
                f" were packed by the same flags. Received: {output}, whose"
                f" {PLAN} is of others, or of what they were before a change."
                " Name another folder, or remove this one"
            )
        return
    others = [x.name for x in output.iterdir()] if output.exists() else []
    if set(others) - {f".{PLAN}.partial"}:
        raise ValueError(
            "--output must be a new or an empty folder, as no other files are"
            f" touched. Received: {output}, which holds {sorted(others)[0]}"
        )
    output.mkdir(parents=True, exist_ok=True)
    partial = output / f".{PLAN}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _write_split(output, root, split, kind):
    written, begun = 0, time.monotonic()
    for path, rows in split.shards(output, kind):
        if path.exists():
            print(f"{path.name}: is there", flush=True)
            continue
        partial = path.with_name(f".{path.name}.partial")
        with contextlib.closing(_WRITERS[kind](str(partial))) as writer:
            for row in rows:
                writer.write(_example(root, split.source, row))
        if not paths.is_remote(partial):
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
        written += int(split.sizes[rows.start : rows.stop].sum())
        speed = written / 2**20 / max(time.monotonic() - begun, 1e-3)
        print(
            f"{path.name}: {rows.stop:,} of {len(split.sizes):,} images,"
            f" {speed:.0f} MiB/s",
            flush=True,
        )


def _example(root, source, row):
    """The record of an image, a serialised `tf.train.Example`."""
    path = source.files[row]
    name = paths.as_path(path).relative_to(root).as_posix()
    features = {
        "image/encoded": _bytes(paths.as_path(path).read_bytes()),
        "image/filename": _bytes(name.encode()),
    }
    if source.has_labels:
        label = int(source.labels[row])
        features["image/class/label"] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=[label])
        )
        text = source.class_names[label]
        features["image/class/text"] = _bytes(text.encode())
    features = tf.train.Features(feature=features)
    return tf.train.Example(features=features).SerializeToString()


def _bytes(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


if __name__ == "__main__":
    main(sys.argv[1:])
