"""Kinds of flags that absl lacks."""

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


class _IntervalParser(flags.ArgumentParser):
    """Two whole numbers from 1, the first below the second."""

    syntactic_help = "first,last"

    def parse(self, argument):
        """Pair of integers."""
        parts = argument
        if isinstance(argument, str):
            parts = argument.split(",")
        try:
            first, last = (int(part) for part in parts)
        except ValueError:
            first, last = 0, 0
        if not 1 <= first < last:
            raise ValueError(
                "must be two steps from 1, the first before the last, such as"
                " 10,15"
            )
        return first, last

    def flag_type(self):
        """What absl calls it."""
        return "string"


class _RangeParser(flags.ArgumentParser):
    """Two numbers, the first below the second."""

    syntactic_help = "low,high"

    def parse(self, argument):
        """Pair of floats."""
        parts = argument
        if isinstance(argument, str):
            parts = argument.split(",")
        try:
            low, high = (float(part) for part in parts)
        except ValueError:
            low, high = 0.0, 0.0
        if not low < high < float("inf"):
            raise ValueError(
                "must be two numbers, the first below the second, such as"
                " 0,4095"
            )
        return low, high

    def flag_type(self):
        """What absl calls it."""
        return "string"


def define_range(name, text, values):
    """Defines `--name=LOW,HIGH`, a pair of floats or None."""
    serializer = flags.CsvListSerializer(",")
    flags.DEFINE(_RangeParser(), name, None, text, values, serializer)


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
    flags.DEFINE(
        _IntervalParser(),
        name,
        None,
        text,
        values,
        flags.CsvListSerializer(","),
    )
