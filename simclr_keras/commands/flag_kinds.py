"""Kinds of flags that absl lacks."""

import math

from absl import flags

_SWITCH = ("auto", "on", "off")
# What the flag took while it was a boolean, and takes without a value.
_BOOLEANS = {"true": "on", "1": "on", "false": "off", "0": "off"}


class _SwitchParser(flags.ArgumentParser):
    """`auto`, `on` or `off`; also what a boolean flag takes."""

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


class _PairParser(flags.ArgumentParser):
    """Two numbers, the first below the second.

    Args:
        kind: `int` or `float`.
        lowest: the first is at least this.
        rule: what a wrong value must be.
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


def _define_pair(name, parser, text, values):
    serializer = flags.CsvListSerializer(",")
    flags.DEFINE(parser, name, None, text, values, serializer)


def define_range(name, text, values):
    """Defines `--name=LOW,HIGH`, a pair of floats or None."""
    rule = "must be two numbers, the first below the second, such as 0,4095"
    parser = _PairParser(float, -math.inf, rule)
    _define_pair(name, parser, text, values)


def define_switch(name, default, text, values):
    """Defines `--name=auto|on|off`; `--name` is on, `--noname` is off."""
    flag = flags.Flag(
        _SwitchParser(),
        flags.ArgumentSerializer(),
        name,
        default,
        f"<auto|on|off>: {text}",
        boolean=True,
    )
    flags.DEFINE_flag(flag, values)


def define_interval(name, text, values):
    """Defines `--name=FIRST,LAST`, a pair of integers or None."""
    rule = "must be two steps from 1, the first before the last, such as 10,15"
    _define_pair(name, _PairParser(int, 1, rule), text, values)
