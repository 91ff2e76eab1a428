"""Checks the names of a classifier's outputs."""

from __future__ import annotations

from collections.abc import Sequence

_NONE = {
    "class_names": "a model without classes, which gives embeddings or numbers;"
    " export a Classifier",
    "target_names": "a model that predicts no numbers; these are for a"
    " Classifier with activation='linear'",
}
_OF = {"class_names": "class", "target_names": "output"}


def check(
    argument: str, names: Sequence[str] | None, count: int | None
) -> list[str] | None:
    """Checks the names of outputs; returns a list of texts.

    Args:
        argument: `"class_names"` or `"target_names"`, for the message.
        names: the names, or None for "0", "1", ...
        count: number of outputs; None for a model without such outputs.

    Returns:
        The names, or None if `count` is None.

    Raises:
        ValueError: the names are not `count` different ones, or one is empty or
            longer than a line; or the model has no such outputs.
    """
    if names is None:
        return None if count is None else list(map(str, range(count)))
    names = [str(name) for name in names]
    if count is None:
        raise ValueError(
            f"{argument} must be left out for {_NONE[argument]}. Received:"
            f" {len(names)} names"
        )
    if len(names) != count or len(set(names)) != len(names):
        raise ValueError(
            f"{argument} must be {count} different names, one for each"
            f" {_OF[argument]} of the model. Received: {len(names)} names:"
            f" {names[:10]!r}"
        )
    if not all(name and len(name.splitlines()) == 1 for name in names):
        raise ValueError(
            f"{argument} must be neither empty nor longer than a line."
            f" Received: {names[:10]!r}"
        )
    return names
