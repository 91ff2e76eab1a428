"""Tells whole and real numbers, Python's and NumPy's, from other arguments."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, such as `3` or `np.int64(3)`; no bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_real(value: Any) -> bool:
    """Whether a value is a real number, such as `np.float32(0.1)`; no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Converts a NumPy scalar to Python's, for JSON; returns others as is."""
    return value.item() if isinstance(value, np.generic) else value
