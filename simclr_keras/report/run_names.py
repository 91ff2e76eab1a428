"""Names runs by the parts in which the paths of their directories differ."""

from __future__ import annotations

from collections.abc import Sequence

from simclr_keras import paths


def shortest_names(directories: Sequence[paths.AnyPath]) -> list[str]:
    """Returns the shortest end of each path that no other path has.

    Last parts that all paths have in common are left out first.

    Args:
        directories: path objects of different directories.

    Example: `a/lr_1/run` and `b/lr_2/run` become `lr_1` and `lr_2`; together
    with `c/lr_2/run`, the second becomes `b/lr_2`.
    """
    parts = [str(path.resolve()).split("/") for path in directories]
    while len(parts) > 1 and _all_end_alike(parts):
        parts = [each[:-1] for each in parts]
    names = []
    for each in parts:
        others = [other for other in parts if other is not each]
        count = 1
        while any(other[-count:] == each[-count:] for other in others):
            count += 1
        names.append("/".join(each[-count:]))
    return names


def _all_end_alike(parts):
    """Whether all paths have the same last part, and a name before it."""
    if len({each[-1] for each in parts}) > 1:
        return False
    return all(len(each) > 1 and each[-2] for each in parts)
