"""Opens a folder of image files as a source of photographs of any size."""

from __future__ import annotations

import warnings

import numpy as np

from simclr_keras import paths
from simclr_keras.data.sources import labelled_folder
from simclr_keras.data.sources import layout as layouts
from simclr_keras.data.sources import listing
from simclr_keras.data.sources import slices
from simclr_keras.data.sources.label_table import LabelTable
from simclr_keras.data.sources.source import Source
from simclr_keras.images.formats import python_decoders

_WARNED = (
    listing.IMAGE_LIKE
    | {listing.BROKEN_LINK, listing.LOOP, listing.UNREADABLE}
    | {layouts.OUTSIDE_SPLITS, layouts.OUTSIDE_CLASSES}
)


def open_folder(
    path: paths.PathLike,
    split: str = "train",
    *,
    labels: LabelTable | None = None,
    folder_layout: str = "auto",
    split_order: str = "shuffled",
    skip_corrupt: bool = False,
    channels: int | None = None,
) -> Source:
    """Opens a folder, and searches it for images at every depth.

    `layout.find` decides whether sub-folders are splits or classes. The classes
    are numbered in alphabetical order over all splits together. Hidden files
    and folders, and files without the extension of an image, are left out;
    `Source.left_out` counts them. A warning reports those that a user may miss,
    such as `.tiff` files, broken links and images outside of the splits.

    Args:
        path: the folder.
        split: name of a split, or a slice of it such as `"train[:90%]"`.
        labels: table of the labels, and perhaps of the splits, see
            `labelled_folder.open_labelled`. Default None: sub-folders say them.
        folder_layout: what the sub-folders mean, see `layout.find`.
        split_order: order from which slices are cut, see `slices.open_slice`.
        skip_corrupt: leave out sub-folders that cannot be read. Default
            False: such a folder is an error.
        channels: number of channels of the images, of which TIFF files are some
            then. Default None: images become RGB, and TIFF files are left out.

    Raises:
        ImportError: there are TIFF or DICOM files, and tifffile or pydicom is
            not installed.
        ValueError: there is no such folder, no image in it, or no such split;
            its sub-folders have two meanings; or one cannot be read; or the
            table does not fit, see `labelled_folder.open_labelled`.
    """
    if labels is not None:
        labelled_folder.check_layout(labels, folder_layout)
    extensions = python_decoders.extensions(channels)
    root, found = _list(path, extensions, skip_corrupt)
    python_decoders.check_installed([parts[-1] for parts in found.images])
    source_name = f"folder:{path}"
    name, _, _ = slices.parse_split(split)
    if labels is not None:
        source, splits = labelled_folder.open_labelled(
            source_name, root, found, name, labels, folder_layout
        )
    else:
        layout = layouts.find(found.images, source_name, folder_layout)
        splits = layout.splits
        slices.check_split(source_name, name, splits)
        source = _describe(source_name, name, root, layout, found)
    _warn(source)
    return slices.open_slice(source, split, splits, split_order)


def open_splits(
    path: paths.PathLike, folder_layout: str = "auto"
) -> list[Source]:
    """Opens all splits of a folder, as `open_folder` does; lists it once.

    Args:
        path: the folder.
        folder_layout: see `open_folder`.

    Returns:
        List of `Source`, one for each split.

    Raises:
        ValueError: see `open_folder`.
    """
    root, found = _list(path, python_decoders.extensions())
    source_name = f"folder:{path}"
    layout = layouts.find(found.images, source_name, folder_layout)
    sources = [
        _describe(source_name, name, root, layout, found)
        for name in layout.splits
    ]
    for source in sources:
        _warn(source)
    return sources


def _list(path, extensions, skip_corrupt=False):
    """The folder's path object, and the `Listing` of what is in it."""
    root = paths.as_path(path, "`folder:`")
    # An empty path, as of an unset variable of the shell, would be ".".
    if not str(path) or not root.is_dir():
        raise ValueError(
            "`folder:` must be followed by an existing folder. Received:"
            f" {str(path)!r}"
        )
    found = listing.find(root, extensions)
    if not skip_corrupt:
        _refuse_unreadable(root, found)
    if not found.images:
        raise ValueError(
            "The folder must hold images, at any depth"
            f" ({', '.join(extensions)}). Received: {str(root)!r},"
            f" which has none{_instead(found)}"
        )
    return root, found


def _refuse_unreadable(root, found):
    folders = [
        str(root.joinpath(*parts))
        for parts, kind in found.left_out
        if kind == listing.UNREADABLE
    ]
    if folders:
        raise ValueError(
            "The folders of a data set must be readable. Received:"
            f" {folders[0]!r}, which is not"
            + (f", and {len(folders) - 1} more" if len(folders) > 1 else "")
            + ". Give the permission to read it, or leave such folders out by"
            " skip_corrupt=True (--skip_corrupt)"
        )


def _instead(found):
    counts = found.counts(lambda parts: True)
    if not counts:
        return ""
    return (
        f" but {listing.counted(counts)}; convert what is an image to PNG or"
        " JPEG, or state the channels of TIFF files by channels=3"
        " (--channels=3)"
    )


def _describe(source_name, split, root, layout, found):
    images = layout.splits[split]
    labels = class_names = None
    if split in layout.labelled:
        class_names = layout.class_names
        numbers = {name: k for k, name in enumerate(class_names)}
        labels = [numbers[path[layout.depth]] for path in images]
        labels = np.array(labels, np.int64)
    return Source(
        name=source_name,
        split=split,
        origin=f"{source_name}:{split}",
        positions=np.arange(len(images)),
        labels=labels,
        class_names=class_names,
        files=np.array([str(root.joinpath(*p)) for p in images], object),
        layout=layout.text(),
        left_out=_left_out(split, layout, found),
    )


def _left_out(split, layout, found):
    """Pairs (kind, number) of what lies in the split's folder or in none's."""

    def mine(parts):
        other = layout.depth and len(parts) > 1 and parts[0] in layout.splits
        return not other or parts[0] == split

    return *layout.outside_counts(), *found.counts(mine)


def _warn(source):
    counts = [each for each in source.left_out if each[0] in _WARNED]
    if counts:
        warnings.warn(
            f"Left out of {source.name} ({source.split}):"
            f" {listing.counted(counts)}.",
            stacklevel=4,
        )
