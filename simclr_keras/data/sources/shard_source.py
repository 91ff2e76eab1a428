"""Opens TFRecord or ArrayRecord shards as a source of photographs."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import glob
import os
import re

import numpy as np
import tensorflow as tf

from simclr_keras import paths
from simclr_keras.choices import FEATURE_IMAGE
from simclr_keras.choices import FEATURE_LABEL
from simclr_keras.data.sources import arrayrecord_format
from simclr_keras.data.sources import slices
from simclr_keras.data.sources import tfrecord_format
from simclr_keras.data.sources.layout import classes_text
from simclr_keras.data.sources.shards import Shards
from simclr_keras.data.sources.source import Source
from simclr_keras.data.sources.source import without_void_labels

# The module of each format has functions `index` and `reader`.
FORMATS = {
    "tfrecord": tfrecord_format,
    "arrayrecord": arrayrecord_format,
}
_SPLIT = "{split}"
_THREADS = 8
# Bytes of shards from which a line says that they are being read.
_LARGE = 2**30
# Labels from here on are refused: they are identifiers, not class numbers.
_MOST_CLASSES = 2**20


def open_shards(
    kind: str,
    pattern: str,
    split: str = "train",
    *,
    feature_image: str = FEATURE_IMAGE,
    feature_label: str = FEATURE_LABEL,
    split_order: str = "shuffled",
) -> Source:
    """Opens the shards that a pattern matches.

    Of every record, where it is and its label are read now; see the `index` of
    the format. Each image is read from its shard when it is needed, as images
    of a folder are. Images are in the order of the names of the shards, and of
    the records within a shard.

    Labels are the integers in the records. The names of the classes come from
    the feature beside the label, `image/class/text` for `image/class/label`;
    numbers that do not occur are their own names. If a class lacks a name, or
    two classes have the same, all names are the numbers.

    Args:
        kind: `"tfrecord"` or `"arrayrecord"`.
        pattern: path with `*`, `?` and `[...]` as in a shell, local or with a
            scheme. `{split}` in it stands for the name of the split; without
            it, the only split is `train`.
        split: name of a split, or a slice of it such as `"train[:90%]"`.
        feature_image: name of the feature of the encoded image.
        feature_label: name of the feature of the label; records without it
            have no label.
        split_order: order of the images that are sliced, see
            `slices.open_slice`.

    Raises:
        ValueError: there is no such file or split, or no record, or a file is
            compressed or damaged or has other features.
        ImportError: ArrayRecord files need array_record, which is not
            installed.
    """
    source_name = f"{kind}:{pattern}"
    name, _, _ = slices.parse_split(split)
    files = _files(kind, pattern, name)
    shards, labels, texts = _read(kind, files, feature_image, feature_label)
    if not len(labels):
        raise ValueError(
            "Shards must hold at least one record. Received:"
            f" {source_name}, {len(files)} empty files such as {files[0]!r}"
        )
    source = Source(
        name=source_name,
        split=name,
        origin=f"{source_name}:{name}",
        positions=np.arange(len(labels)),
        labels=labels,
        class_names=_class_names(source_name, labels, texts),
        shards=shards,
    )
    source = _with_layout(without_void_labels(source))
    return slices.open_slice(source, split, [name], split_order)


def _files(kind, pattern, split):
    """Sorted paths of the shards of a split."""
    source_name = f"{kind}:{pattern}"
    if _SPLIT not in pattern:
        slices.check_split(source_name, split, ["train"])
    chosen = pattern.replace(_SPLIT, split)
    files = _matches(chosen)
    if files:
        return files
    if _SPLIT in pattern:
        others = _splits(pattern)
        if others:
            slices.check_split(source_name, split, others)
    hint = ""
    if paths.as_path(chosen).is_dir():
        hint = f", but a folder is there: say {chosen.rstrip('/')}/{_SPLIT}-*"
    raise ValueError(
        f"`{kind}:` must be followed by a pattern that files match, such as"
        f" {kind}:/data/{_SPLIT}-*, where {_SPLIT} stands for train and the"
        f" like. Received: {source_name}; no file matches {chosen!r}{hint}"
    )


def _matches(pattern):
    """Sorted paths of the files that a pattern matches.

    Hidden files are left out, unless the pattern's last part begins with a dot.
    """
    path = paths.as_path(pattern, "the pattern of shards")
    if paths.is_remote(path):
        with path.python_errors():
            found = tf.io.gfile.glob(str(path))
        found = [x for x in found if not x.endswith("/")]
    else:
        found = filter(os.path.isfile, glob.glob(str(path)))
    hidden = os.path.basename(pattern).startswith(".")
    return sorted(
        x for x in found if hidden or not os.path.basename(x).startswith(".")
    )


def _splits(pattern):
    """Names of splits that the existing files have in place of `{split}`."""
    path = str(paths.as_path(pattern))
    before, _, behind = path.partition(_SPLIT)
    kinds = {"*": "[^/]*", "?": "[^/]", _SPLIT: r"(?P=split)"}

    def translated(part):
        if part.startswith("[") and part.endswith("]"):
            return part.replace("[!", "[^", 1)
        return kinds.get(part) or re.escape(part)

    def expression(text):
        parts = re.split(r"(\{split\}|\*|\?|\[[^]]+\])", text)
        return "".join(map(translated, parts))

    wanted = re.compile(
        f"{expression(before)}(?P<split>[A-Za-z0-9_.]+){expression(behind)}"
    )
    found = map(wanted.fullmatch, _matches(path.replace(_SPLIT, "*")))
    return {match["split"] for match in found if match}


def _read(kind, files, feature_image, feature_label):
    """`Shards` of all records, their labels, and the names of classes."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        marks = tuple(pool.map(_mark, files))
    return _read_marked(kind, marks, feature_image, feature_label)


def _mark(path):
    about = paths.as_path(path).stat()
    return path, about.st_size, about.st_mtime_ns


# Two slices of one split, for training and evaluation, need one reading.
@functools.lru_cache(maxsize=4)
def _read_marked(kind, marks, feature_image, feature_label):
    files = tuple(path for path, _, _ in marks)
    size = sum(size for _, size, _ in marks)
    if size >= _LARGE:
        print(
            f"Reading where the records of {len(files)} shards"
            f" ({size / 2**30:.1f} GiB) lie."
        )

    def read(path):
        return FORMATS[kind].index(path, feature_image, feature_label)

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(read, files))
    counts = np.array([len(each.labels) for each in found], np.int64)
    texts = {}
    for each in reversed(found):
        texts.update(each.texts)
    shards = Shards(
        files,
        np.cumsum(counts) - counts,
        feature_image,
        np.repeat(np.arange(len(files), dtype=np.int32), counts),
        np.concatenate([each.places for each in found], axis=1),
        FORMATS[kind].reader,
    )
    return shards, np.concatenate([each.labels for each in found]), texts


def _class_names(source_name, labels, texts):
    """Names of the classes from 0 to the largest label, or None."""
    largest = int(labels.max())
    if largest < 0:
        return ()
    if largest >= _MOST_CLASSES:
        raise ValueError(
            f"The labels of {source_name} must be numbers of classes, from 0"
            f" and below {_MOST_CLASSES:,}. Received: {largest}; leave them"
            " out by --feature_label="
        )
    present = [label for label in texts if label >= 0]
    names = {texts[label] for label in present}
    if None in names or len(names) < len(present):
        texts = {}
    return tuple(texts.get(k) or str(k) for k in range(largest + 1))


def _with_layout(source):
    count = len(source.shards.files)
    text = f"{count:,} shard{'s' * (count > 1)}; "
    text += (
        classes_text(source.class_names) if source.has_labels else "no classes"
    )
    return dataclasses.replace(source, layout=text)
