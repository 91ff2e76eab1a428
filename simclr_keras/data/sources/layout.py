"""Decides if sub-folders of images are splits, classes or neither."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from collections.abc import Sequence

from simclr_keras.choices import FOLDER_LAYOUTS as LAYOUTS

SPLIT_NAMES = frozenset(
    "train training test testing val valid validation eval dev unlabeled"
    " unlabelled".split()
)
_UNLABELLED = ("unlabeled", "unlabelled")
# Kinds of images that belong to no split.
OUTSIDE_SPLITS = "images outside the splits"
OUTSIDE_CLASSES = "images outside the classes"
_ORDER = ("train", "val", "dev", "eval", "test", "unlabel")


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a folder is read.

    Attributes:
        splits: dict of split name -> its images, tuples of the parts of their
            paths below the folder, sorted.
        depth: number of parts of a path that name the split, 0 or 1.
        class_names: names of the classes of all splits together, or None.
        labelled: names of the splits whose images have a class.
        outside: images that belong to no split.
        reason: why there are no classes where one might expect them, or "".
    """

    splits: dict
    depth: int
    class_names: tuple = None
    labelled: frozenset = frozenset()
    outside: tuple = ()
    reason: str = ""

    def text(self) -> str:
        """A phrase such as `"splits train, test; classes cat, dog"`."""
        parts = []
        if self.depth:
            parts.append(splits_text(self.splits))
        if self.class_names is None:
            parts.append("no classes" + self.reason)
        else:
            parts.append(classes_text(self.class_names))
            others = sorted(set(self.splits) - self.labelled)
            if others:
                parts.append(f"none in {', '.join(others)}")
        return "; ".join(parts)

    def split_of(self) -> dict:
        """Dict from each image of a split to the name of the split."""
        return {
            image: name
            for name, images in self.splits.items()
            for image in images
        }

    def outside_counts(self) -> tuple[tuple[str, int], ...]:
        """The pair (kind, number) of the images of no split, if any."""
        if not self.outside:
            return ()
        kind = OUTSIDE_SPLITS if self.depth else OUTSIDE_CLASSES
        return ((kind, len(self.outside)),)


def splits_text(names: Iterable[str]) -> str:
    """`"splits train, test"`, in the order in which they are used."""
    return f"splits {', '.join(sorted(names, key=_in_order_of_use))}"


def classes_text(names: Sequence[str]) -> str:
    """`"classes a, b, c"`; of many, the first ones and their number."""
    return listed("class", names, "classes")


def listed(
    noun: str, names: Sequence[str], plural: str | None = None, shown: int = 8
) -> str:
    """`"labels a, b, c"`; of many, the first ones and their number."""
    text = ", ".join(names[:shown])
    plural = plural or f"{noun}s"
    if len(names) > shown:
        return f"{len(names):,} {plural}: {text}, ..."
    return f"{plural if len(names) > 1 else noun} {text}"


def _in_order_of_use(split):
    places = [k for k, name in enumerate(_ORDER) if split.startswith(name)]
    return (*places, len(_ORDER))[0], split


def find(images: Sequence, name: str, layout: str = "auto") -> Layout:
    """Decides what the sub-folders mean.

    `"auto"`: sub-folders are splits if all of them have names of splits
    (`train`, `val`, `test` and the like) and no image lies beside them. Two or
    more sub-folders are classes if none has such a name and no image lies
    beside them. If images lie beside sub-folders, or there is only one
    sub-folder, there are no classes. A split's sub-folders are classes if it
    has two or more, or if another split has them too. Mixtures of splits and
    classes, such as `train` beside `cats`, are refused, and so are names such
    as `training_set` and `test_set`. `"splits"`: sub-folders with names of
    splits, or else with names that contain one, are splits; what lies beside
    them is left out. `"classes"`: each sub-folder is a class. `"flat"`: one
    split of all images, without classes. `"legacy"`: the rule of runs from
    before this argument existed, where any other folder beside `train` made
    `train` a class.

    Args:
        images: paths of the images below the folder, tuples of parts, sorted.
        name: the folder as the user calls it, such as `"folder:/photos"`.
        layout: one of `LAYOUTS`. Default `"auto"`.

    Returns:
        `Layout`.

    Raises:
        ValueError: the sub-folders may mean one thing or the other, or not
            what `layout` says.
    """
    if layout not in LAYOUTS:
        raise ValueError(
            f"`folder_layout` must be one of {', '.join(LAYOUTS)}. Received:"
            f" folder_layout={layout!r}"
        )
    tops = {path[0] for path in images if len(path) > 1}
    loose = sum(len(path) == 1 for path in images)
    named = {top for top in tops if top.lower() in SPLIT_NAMES}
    if layout == "auto":
        _refuse_ambiguous(images, name, tops, named, loose)
        several = len(tops) > 1 and not loose
        layout = "splits" if named else "classes" if several else "flat"
        reason = ""
        if layout == "flat" and tops and loose:
            reason = f", as {_images(loose)} lie beside the folders"
        elif layout == "flat" and tops:
            reason = f", as {min(tops)} is the only folder"
        if layout == "flat":
            return _flat(images, reason)
    if layout == "legacy":
        return _legacy(images, tops, named, loose)
    if layout == "flat":
        return _flat(images)
    if layout == "splits":
        like = set(filter(_like_split, tops))
        return _splits(images, name, named or like)
    return _classes(images, name, tops)


def _like_split(name):
    """Whether a folder's name contains one of a split, as `train_images`."""
    return not SPLIT_NAMES.isdisjoint(re.split("[^a-z]+", name.lower()))


def _images(number):
    return f"{number:,} image{'s' * (number > 1)}"


def _refuse_ambiguous(images, name, tops, named, loose):
    others = sorted(tops - named)
    if named and (others or loose):
        beside = [f"the folder {other}" for other in others[:5]]
        beside += [f"{len(others) - 5} more folders"] * (len(others) > 5)
        beside += [_images(loose)] * (loose > 0)
        raise ValueError(
            f"{name} must hold either splits or classes:"
            f" {', '.join(sorted(named))} would be splits, and beside them"
            f" lie {' and '.join(beside)}. Received: folder_layout=auto. Move"
            " what does not belong there, or choose --folder_layout=splits"
            " (what lies beside them is left out), classes (each folder is a"
            " class) or flat (no classes)"
        )
    if named:
        return
    like = sorted(filter(_like_split, tops))
    if len(like) > 1 and any("train" in each.lower() for each in like):
        raise ValueError(
            f"{name} must have splits whose names say so, or none:"
            f" {', '.join(like)} look like splits and would be taken for"
            " classes. Received: folder_layout=auto. Rename them to train, val"
            " and test, or choose --folder_layout=splits (under their names),"
            " classes (each is a class) or flat (no classes)"
        )
    for top in sorted(tops):
        inner = {p[1] for p in images if p[0] == top and len(p) > 2}
        inner = {each for each in inner if each.lower() in SPLIT_NAMES}
        if len(inner) > 1:
            raise ValueError(
                f"{name} must hold the splits itself: {top} has the folders"
                f" {', '.join(sorted(inner))}, which would be trained on"
                " together. Received: folder_layout=auto. Name"
                f" {name}/{top} as the data set, or choose"
                " --folder_layout=classes or flat to take all of them together"
            )


def _flat(images, reason=""):
    return Layout({"train": tuple(images)}, 0, reason=reason)


def _classes(images, name, tops):
    if len(tops) < 2:
        raise ValueError(
            f"{name} must hold two or more folders with images to have classes."
            f" Received: folder_layout=classes, {len(tops)} of them. Choose"
            " --folder_layout=flat for images without classes"
        )
    inside = tuple(path for path in images if len(path) > 1)
    outside = tuple(path for path in images if len(path) == 1)
    return Layout(
        {"train": inside},
        0,
        tuple(sorted(tops)),
        frozenset(["train"]),
        outside,
    )


def _splits(images, name, named):
    if not named:
        raise ValueError(
            f"{name} must hold folders named as splits, such as train and"
            " test. Received: folder_layout=splits, and none is named"
            f" {', '.join(sorted(SPLIT_NAMES))}"
        )
    splits = _by_top(images, named)
    outside = tuple(p for p in images if len(p) == 1 or p[0] not in named)
    folders = {
        split: _class_folders(paths, 1)
        for split, paths in splits.items()
        if split.lower() not in _UNLABELLED
    }
    # A lone folder, as in test/images/1.jpg, is a class only if another split
    # has a folder of that name.
    labelled = {}
    for split, names in folders.items():
        elsewhere = [folders[other] for other in folders if other != split]
        if len(names) > 1 or names & set().union(*elsewhere):
            labelled[split] = names
    return _with_classes(splits, 1, labelled, outside)


def _legacy(images, tops, named, loose):
    if named == tops and not loose:
        splits, depth = _by_top(images, named), 1
    else:
        splits, depth = {"train": tuple(images)}, 0
    folders = {s: _class_folders(paths, depth) for s, paths in splits.items()}
    labelled = {s: names for s, names in folders.items() if len(names) > 1}
    return _with_classes(splits, depth, labelled)


def _by_top(images, names):
    splits = {name: [] for name in sorted(names)}
    for path in images:
        if len(path) > 1 and path[0] in splits:
            splits[path[0]].append(path)
    return {name: tuple(paths) for name, paths in splits.items()}


def _class_folders(paths, depth):
    """Names of the folders of a split; none where images lie beside them."""
    if any(len(path) == depth + 1 for path in paths):
        return set()
    return {path[depth] for path in paths}


def _with_classes(splits, depth, labelled, outside=()):
    names = tuple(sorted(set().union(*labelled.values())))
    if len(names) < 2:
        return Layout(splits, depth, outside=outside)
    return Layout(splits, depth, names, frozenset(labelled), outside)
