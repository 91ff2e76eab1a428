"""Finds the images below a folder, and accounts for every other file."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable
from collections.abc import Sequence

from simclr_keras import paths
from simclr_keras.images.formats import python_decoders

HIDDEN = "hidden"
BROKEN_LINK = "broken links"
LOOP = "links to a folder above them"
SPECIAL = "special files"
UNREADABLE = "unreadable folders"
# Extensions of image formats that are not decoded here.
IMAGE_LIKE = frozenset(
    ".arw .avif .cr2 .cr3 .dng .exr .hdr .heic .heif .ico .j2k .jfif .jpe"
    " .jp2 .jxl .nef .orf .pbm .pgm .pnm .ppm .psd .raf .raw .svg .tga .tif"
    " .tiff".split()
)


@dataclasses.dataclass(frozen=True)
class Listing:
    """What lies below a folder.

    Attributes:
        images: paths of the images relative to the folder, as tuples of their
            parts, sorted.
        left_out: pairs of such a path and a kind, for everything else: the
            file's extension, or one of this module's constants.
    """

    images: tuple
    left_out: tuple

    def counts(
        self, keep: Callable[[tuple[str, ...]], bool]
    ) -> tuple[tuple[str, int], ...]:
        """Pairs (kind, number) of what was left out, the commonest first.

        Args:
            keep: function of a path's parts that says what is counted.
        """
        numbers = {}
        for parts, kind in self.left_out:
            if keep(parts):
                numbers[kind] = numbers.get(kind, 0) + 1
        return tuple(sorted(numbers.items(), key=lambda x: (-x[1], x[0])))


def find(
    root: paths.PathLike,
    extensions: tuple[str, ...] = python_decoders.extensions(),
) -> Listing:
    """Lists a folder at every depth; links are followed, but not in a circle.

    Args:
        root: path of the folder, local or with a scheme.
        extensions: those of images, in lower case.

    Returns:
        `Listing`.
    """
    images, left_out = [], []
    root = paths.as_path(root)
    waiting = [((), (_real(root),))]
    while waiting:
        folder, above = waiting.pop()
        try:
            entries = paths.scandir(root.joinpath(*folder))
        except OSError:
            left_out.append((folder, UNREADABLE))
            continue
        for entry in entries:
            path = (*folder, entry.name)
            kind = _kind(entry, above, extensions)
            if kind == "image":
                images.append(path)
            elif kind == "folder":
                waiting.append((path, (*above, _real(entry.path))))
            else:
                left_out.append((path, kind))
    return Listing(tuple(sorted(images)), tuple(sorted(left_out)))


def _kind(entry, above, extensions):
    """`"image"`, `"folder"`, or the kind under which it is left out."""
    if entry.name.startswith("."):
        return HIDDEN
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError:  # such as a link to itself, or into a folder that is closed
        return BROKEN_LINK if entry.is_symlink() else UNREADABLE
    if is_folder:
        # Following such a link would never end.
        circle = entry.is_symlink() and _real(entry.path) in above
        return LOOP if circle else "folder"
    if not is_file:
        return BROKEN_LINK if entry.is_symlink() else SPECIAL
    if entry.name.lower().endswith(extensions):
        return "image"
    extension = pathlib.PurePath(entry.name).suffix.lower()
    return extension or "without an extension"


def _real(path):
    """Resolves the links of a local path; a path with a scheme has none."""
    path = str(path)
    return path if "://" in path else os.path.realpath(path)


def counted(counts: Sequence[tuple[str, int]]) -> str:
    """Text such as `"20 .tiff, 1 .txt"` of pairs (kind, number)."""
    return ", ".join(f"{number:,} {kind}" for kind, number in counts)
