"""Parses the text of flags that are words, switches or several numbers."""

import math

from absl import flags as absl_flags

_SWITCH = ("auto", "on", "off")
# Values of a boolean flag, which `--jit` and `--nojit` also give a switch.
_BOOLEANS = {"true": "on", "1": "on", "false": "off", "0": "off"}


class SwitchParser(absl_flags.ArgumentParser):
    """`auto`, `on` or `off`; also accepts the values of a boolean flag."""

    syntactic_help = "auto, on or off"

    def parse(self, argument):
        """One of the three words."""
        word = str(argument).lower()
        word = _BOOLEANS.get(word, word)
        if word not in _SWITCH:
            raise ValueError("must be auto, on or off")
        return word

    def flag_type(self):
        """What absl calls it."""
        return "string"


class WordsParser(absl_flags.ArgumentParser):
    """Words with spaces between them."""

    syntactic_help = "words"

    def parse(self, argument):
        """List of words."""
        return argument.split() if isinstance(argument, str) else argument

    def flag_type(self):
        """What absl calls it."""
        return "string"


class PairParser(absl_flags.ArgumentParser):
    """Two numbers, the first below the second.

    Args:
        kind: `int` or `float`.
        lowest: smallest value allowed for the first.
        rule: text of the error for a wrong value.
    """

    syntactic_help = "low,high"

    def __init__(self, kind, lowest, rule):
        super().__init__()
        self._kind, self._lowest, self._rule = kind, lowest, rule

    def parse(self, argument):
        """Pair of numbers."""
        parts = argument
        if isinstance(argument, str):
            parts = argument.split(",")
        try:
            low, high = (self._kind(part) for part in parts)
        except ValueError:
            low = high = 0
        if not self._lowest <= low < high < math.inf:
            raise ValueError(self._rule)
        return low, high

    def flag_type(self):
        """What absl calls it."""
        return "string"


class NumbersParser(absl_flags.ArgumentParser):
    """A fixed number of integers from 1.

    Args:
        count: how many.
    """

    syntactic_help = "1,2,..."

    def __init__(self, count):
        super().__init__()
        self._count = count

    def parse(self, argument):
        """Tuple of integers."""
        parts = argument
        if isinstance(argument, str):
            parts = argument.split(",")
        try:
            numbers = tuple(int(part) for part in parts)
        except ValueError:
            numbers = ()
        if len(numbers) != self._count or min(numbers) < 1:
            raise ValueError(
                f"must be {self._count} whole numbers from 1, such as"
                f" {','.join(map(str, range(self._count, 0, -1)))}"
            )
        return numbers

    def flag_type(self):
        """What absl calls it."""
        return "string"
