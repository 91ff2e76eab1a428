"""Finds NaN in a training, and says what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from simclr_keras import paths

# Metrics may be NaN where nothing was measured.
_STATE = ("weights/", "states/", "optimizer/")
ADVICE = (
    "Run the same command again with a lower --learning_rate (or a longer"
    " --warmup_epochs) and --change_learning_rate: it goes on from there. In"
    " Python: sk.training.callbacks(..., change_learning_rate=True). The same"
    " rate will diverge again."
)


def is_finite(name: str, array: np.ndarray) -> bool:
    """Whether training can go on with an array of a checkpoint.

    Args:
        name: its name, as `training.state` gives it.
        array: the values; texts and integers are finite.
    """
    array = np.asarray(array)
    if not name.startswith(_STATE) or not np.issubdtype(
        array.dtype, np.floating
    ):
        return True
    return bool(np.isfinite(array).all())


def not_finite(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Names of those arrays of a dict that hold NaN or infinity."""
    return [name for name, x in arrays.items() if not is_finite(name, x)]


def stop(what: str, newest: paths.AnyPath | str | None) -> NoReturn:
    """Raises the RuntimeError that ends a training.

    Args:
        what: what is not finite, and at which step.
        newest: path of the newest checkpoint that is finite; None if there is
            none; "" if this process cannot know.
    """
    if newest is None:
        where = (
            "No checkpoint was written before: a new start begins at step 0."
        )
    elif newest:
        where = f"The last checkpoint whose weights are finite is {newest}."
    else:
        where = "The first worker says from which checkpoint to go on."
    raise RuntimeError(f"{what}. This state was not saved. {where} {ADVICE}")
