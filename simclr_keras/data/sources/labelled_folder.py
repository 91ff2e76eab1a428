"""Labels a folder's images by a CSV file, and divides them into splits."""

from __future__ import annotations

import dataclasses
import posixpath
import unicodedata
import warnings

import numpy as np

from simclr_keras import paths
from simclr_keras.data.sources import label_table
from simclr_keras.data.sources import label_values
from simclr_keras.data.sources import layout as layouts
from simclr_keras.data.sources import slices
from simclr_keras.data.sources.listing import Listing
from simclr_keras.data.sources.listing import counted
from simclr_keras.data.sources.source import Source

# Split of the images that the table does not name.
UNLABELLED = "unlabelled"
_TRAIN = "train"
# Layouts of folders that have no classes.
_LAYOUTS = ("auto", "splits", "flat")


@dataclasses.dataclass(frozen=True)
class _Divided:
    """The images of a folder by what the table says of them, sorted by path.

    Attributes:
        images: those with a row that has a label and a split.
        splits: their splits.
        rows: numbers of their rows.
        without: those without a row.
        counts: dict of kind -> number of rows that are left out.
    """

    images: tuple
    splits: tuple
    rows: tuple
    without: tuple
    counts: dict


def check_layout(table: label_table.LabelTable, folder_layout: str) -> None:
    """Refuses a `folder_layout` that says what the table says.

    Raises:
        ValueError: it is not `"auto"`, and the table has a column of splits;
            or it is one that has classes.
    """
    if table.rows.splits is not None and folder_layout != "auto":
        raise ValueError(
            "`folder_layout` must be auto if the table has a column of splits;"
            " an empty `split_column` (--split_column=) takes the splits from"
            f" the folders. Received: --folder_layout={folder_layout}"
        )
    if folder_layout not in _LAYOUTS:
        raise ValueError(
            f"`folder_layout` must be one of {', '.join(_LAYOUTS)} with a table"
            " of labels, which says the classes. Received:"
            f" --folder_layout={folder_layout}"
        )


def open_labelled(
    source_name: str,
    root: paths.AnyPath,
    found: Listing,
    split: str,
    table: label_table.LabelTable,
    folder_layout: str = "auto",
) -> tuple[Source, tuple[str, ...]]:
    """Opens a split of a folder whose labels are in a table.

    A row without an image, and a row whose cell of the label or of the split
    is empty, is left out. Images without a row are the split `unlabelled`.
    Without a column of splits, sub-folders that `layout.find` takes for splits
    are splits, and else all images with a row are `train`. Classes are numbered
    over all splits together.

    Args:
        source_name: name of the data set, such as `"folder:/photos"`.
        root: path object of the folder.
        found: its images.
        split: name of a split.
        table: the table.
        folder_layout: what sub-folders mean, see `layout.find` and
            `check_layout`.

    Returns:
        Pair of the `Source` of the whole split, and the names of all splits.

    Raises:
        ValueError: see `label_values.from_cells`; or no row names an image, two
            rows of one image differ, or there is no such split.
    """
    rows = table.rows
    row_of, counts = _match(rows, root, found, source_name)
    inside, outside = found.images, ()
    if rows.splits is None:
        layout = layouts.find(found.images, source_name, folder_layout)
        split_of, outside = layout.split_of(), layout.outside_counts()
        inside = sorted(split_of)
    else:
        split_of = {image: _split(rows, k) for image, k in row_of.items()}
    divided = _divide(inside, rows, row_of, split_of, table.task)
    counts.update((*divided.counts.items(), *outside))
    _check_any(divided, counts, rows.name)
    without = divided.without
    if without and split != UNLABELLED:
        counts["images without a row"] = len(without)
    labels = names = None
    if rows.columns:
        labels, names = label_values.from_cells(
            [rows.cells[k] for k in divided.rows],
            [rows.lines[k] for k in divided.rows],
            rows.columns,
            table.task,
            rows.name,
        )
    existing = sorted({*divided.splits, *([UNLABELLED] if without else [])})
    if rows.splits is not None:
        _check_spellings(existing, rows.name)
    slices.check_split(source_name, split, existing)
    chosen = np.array([each == split for each in divided.splits], bool)
    images = [x for x, mine in zip(divided.images, chosen) if mine]
    if split == UNLABELLED and without:
        images, part = sorted([*images, *without]), None
    else:
        part = labels if labels is None else labels[chosen]
    source = Source(
        name=source_name,
        split=split,
        origin=f"{source_name}:{split} by {table.path}",
        positions=np.arange(len(images)),
        labels=part,
        class_names=None if part is None else names,
        task=table.task,
        files=np.array([str(root.joinpath(*p)) for p in images], object),
        layout=_text(rows.name, existing, labels, names, table.task, part),
        left_out=(
            *counts.items(),
            *found.counts(lambda parts: True),
        ),
    )
    return source, tuple(existing)


def _match(rows, root, found, source_name):
    """Finds the image of each row.

    Returns:
        Pair of a dict from images, as tuples of parts, to their first row, and
        a dict with the numbers of rows that are left out, by kind.
    """
    # As the text of the table, see `label_table`.
    known = {
        unicodedata.normalize("NFC", "/".join(parts)): parts
        for parts in found.images
    }
    row_of, missing, repeated = {}, [], 0
    for k, name in enumerate(rows.files):
        parts = known.get(name) or known.get(_relative(name, root))
        if parts is None:
            missing.append(k)
        elif row_of.setdefault(parts, k) != k:
            _check_equal(rows, row_of[parts], k)
            repeated += 1
    if not row_of:
        raise ValueError(
            f"Column {rows.file_column!r} of {rows.name} must hold paths of"
            f" images relative to {source_name}, such as"
            f" {'/'.join(found.images[0])!r}; --file_column names another"
            f" column. Received: {len(missing)} rows of which none is such a"
            f" path, the first {rows.files[missing[0]]!r}"
        )
    if missing:
        named = [
            f"{rows.files[k]!r} in line {rows.lines[k]}" for k in missing[:3]
        ]
        warnings.warn(
            f"Left out of {rows.name}: {len(missing)} of {len(rows.files)}"
            f" rows, as {source_name} has no such image: {', '.join(named)}"
            + (", ..." if len(missing) > 3 else ""),
            stacklevel=5,
        )
    counts = {"rows without an image": len(missing), "repeated rows": repeated}
    return row_of, {kind: number for kind, number in counts.items() if number}


def _relative(name, root):
    """A path in other spellings as relative to the folder, with slashes."""
    name, prefix = name.replace("\\", "/"), f"{root}".rstrip("/") + "/"
    if name.startswith(prefix):
        name = name[len(prefix) :]
    return posixpath.normpath(name)


def _check_equal(rows, first, second):
    """Refuses two rows of one image that do not say the same."""
    said = [
        (*rows.cells[k], *(rows.splits[k : k + 1] if rows.splits else ()))
        for k in (first, second)
    ]
    if said[0] != said[1]:
        raise ValueError(
            f"Each image must have one row in {rows.name}. Received:"
            f" {rows.files[second]!r} in lines {rows.lines[first]} and"
            f" {rows.lines[second]}, with {' and '.join(map(repr, said))};"
            " several labels of an image stand in one cell, with | between"
            " them, for --task=multilabel"
        )


def _split(rows, k):
    """The split of a row; refuses text that cannot name one."""
    split = rows.splits[k]
    if split and not slices.is_name(split):
        raise ValueError(
            f"The column of splits of {rows.name} must hold names such as train"
            " and test, of letters, digits and _ . - only. Received:"
            f" {split!r} in line {rows.lines[k]}; --split_column names another"
            " column, or none if it is empty"
        )
    return split


def _check_spellings(splits, table):
    """Refuses splits such as train and Train, each a part of what was meant."""
    spellings = {}
    for split in splits:
        spellings.setdefault(split.lower(), []).append(split)
    several = [names for names in spellings.values() if len(names) > 1]
    if several:
        raise ValueError(
            f"Each split must have one spelling in {table}. Received:"
            f" {', '.join(several[0])}"
        )


def _divide(images, rows, row_of, split_of, task):
    """The `_Divided` of images that are not outside of all splits."""
    kept, without, counts = [], [], {}
    for image in images:
        k = row_of.get(image)
        reason = None
        if k is None:
            without.append(image)
        elif rows.columns and label_values.is_empty(rows.cells[k], task):
            reason = "rows without a label"
        elif not split_of[image]:
            reason = "rows without a split"
        else:
            kept.append((image, split_of[image], k))
        if reason:
            counts[reason] = counts.get(reason, 0) + 1
    columns = zip(*kept) if kept else ((), (), ())
    return _Divided(*columns, tuple(without), counts)


def _check_any(divided, counts, table):
    if not divided.images:
        raise ValueError(
            f"{table} must have a row with a label, and with a split if it has"
            f" a column of splits. Received: {counted(counts.items())}"
        )


def _text(table, splits, labels, names, task, part):
    """How the folder was read, for the start line."""
    parts = [f"labels of {table}"]
    if list(splits) != [_TRAIN]:
        parts.append(layouts.splits_text(splits))
    if labels is None:
        parts.append("no labels")
    else:
        parts.append(label_values.describe(labels, names, task))
        if part is None:
            parts.append(f"none in {UNLABELLED}")
    return "; ".join(parts)
