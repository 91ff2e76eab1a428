"""Repeated measurements -> a median, and how far they lie apart."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of several values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        """The spread of a sequence of numbers."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits, factor=1):
        """`median (low-high)`, each times a factor."""
        values = (self.median, self.low, self.high)
        middle, low, high = (f"{factor * x:.{digits}f}" for x in values)
        return f"{middle} ({low}-{high})"


def ratio(above, below):
    """Spread of the quotients of what was measured side by side."""
    return Spread.of([a / b for a, b in zip(above, below)])
