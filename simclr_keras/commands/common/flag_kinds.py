"""Defines flags of several kinds, in the groups of `--help`."""

import math
import os
import pathlib
import re

from absl import flags as absl_flags

from simclr_keras.commands.common import flag_parsers

# In the order in which `--help` lists them.
GROUPS = ("study", "data", "views", "network", "training", "devices", "run")

# A scheme with both slashes, or with one if pathlib or a shell dropped one.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# Prefixes of the path of a data set.
_DATA_SET = re.compile("folder:|arrays:|tfrecord:|arrayrecord:")


class Group:
    """Defines the flags of one group.

    The argument `may_change` of its methods says whether a run may be resumed
    with another value of the flag. It is True for flags that change only what
    is shown or kept, or where, and not what is computed.

    Args:
        values: absl's `FlagValues`, on which the flags are defined.
        name: one of `GROUPS`.
    """

    def __init__(self, values, name):
        self._values = values
        self._name = name

    def string(self, name, default, text, *, may_change=False):
        """Defines a flag that takes a text."""
        self._add(absl_flags.ArgumentParser(), name, default, text, may_change)

    def list(self, name, default, text):
        """Defines a flag that takes texts with commas between them."""
        serializer = absl_flags.CsvListSerializer(",")
        self._add(
            absl_flags.ListParser(), name, default, text, False, serializer
        )

    def words(self, name, default, text, *, may_change=False):
        """Defines a flag that may be given several times; a list of words.

        Spaces separate words too, as they do in `flags.txt`.
        """
        flag = _SeveralTimes(
            flag_parsers.WordsParser(),
            absl_flags.ListSerializer(" "),
            name,
            default,
            text,
        )
        self._add_flag(flag, may_change)

    def integer(
        self, name, default, text, *, least=None, most=None, may_change=False
    ):
        """Defines a flag that takes an integer from `least` to `most`."""
        parser = absl_flags.IntegerParser(least, most)
        self._add(parser, name, default, text, may_change)

    def float(
        self, name, default, text, *, least=None, most=None, may_change=False
    ):
        """Defines a flag that takes a number from `least` to `most`."""
        parser = absl_flags.FloatParser(least, most)
        self._add(parser, name, default, text, may_change)

    def boolean(self, name, default, text, *, may_change=False):
        """Defines `--name` and `--noname`."""
        self._add_flag(absl_flags.BooleanFlag(name, default, text), may_change)

    def choice(self, name, default, choices, text, *, may_change=False):
        """Defines a flag that takes one of the words in `choices`."""
        choices = list(choices)
        flag = absl_flags.EnumFlag(name, default, text, enum_values=choices)
        self._add_flag(flag, may_change)

    def path(self, name, default, text, *, local=None, may_change=False):
        """Defines a flag that takes a path, or a data set such as folder:PATH.

        A scheme such as `gs://` must be one that is known here. If `local` is
        given, any scheme is refused, and `local` is the reason in the error.
        """
        parser = _PathParser(name, local)
        self._add(parser, name, default, text, may_change)

    def paths(self, name, text):
        """Defines a flag that is given once for each of several paths."""
        parser = _PathParser(name, None)
        serializer = absl_flags.ArgumentSerializer()
        flag = absl_flags.MultiFlag(parser, serializer, name, None, text)
        flag.help = text  # without the text that absl appends
        self._add_flag(flag, False)

    def range(self, name, text):
        """Defines `--name=LOW,HIGH`, a pair of floats or None."""
        rule = "must be two numbers, the first below the second, such as 0,4095"
        serializer = absl_flags.CsvListSerializer(",")
        parser = flag_parsers.PairParser(float, -math.inf, rule)
        self._add(parser, name, None, text, False, serializer)

    def numbers(self, name, count, text, *, may_change=False):
        """Defines `--name=1,2,...`, `count` integers from 1, or None."""
        serializer = absl_flags.CsvListSerializer(",")
        parser = flag_parsers.NumbersParser(count)
        self._add(parser, name, None, text, may_change, serializer)

    def interval(self, name, text, *, may_change=False):
        """Defines `--name=FIRST,LAST`, a pair of integers from 1, or None."""
        rule = (
            "must be two steps from 1, the first before the last, such as 10,15"
        )
        serializer = absl_flags.CsvListSerializer(",")
        parser = flag_parsers.PairParser(int, 1, rule)
        self._add(parser, name, None, text, may_change, serializer)

    def switch(self, name, default, text, *, may_change=False):
        """Defines `--name=auto|on|off`; `--name` is on, `--noname` is off."""
        flag = absl_flags.Flag(
            flag_parsers.SwitchParser(),
            absl_flags.ArgumentSerializer(),
            name,
            default,
            f"<auto|on|off>: {text}",
            boolean=True,
        )
        self._add_flag(flag, may_change)

    def _add(self, parser, name, default, text, may_change, serializer=None):
        serializer = serializer or absl_flags.ArgumentSerializer()
        flag = absl_flags.Flag(parser, serializer, name, default, text)
        self._add_flag(flag, may_change)

    def _add_flag(self, flag, may_change):
        flag.may_change = may_change
        # absl groups flags by the module that defines them.
        absl_flags.DEFINE_flag(flag, self._values, module_name=self._name)


def leave_to(values, other, names):
    """Makes None the default of some flags if the flag `other` is given.

    `command_line.parse` does so. None then means that the value comes from what
    `other` names: with `--checkpoint`, from the networks of its model.

    Args:
        values: absl's `FlagValues`, on which all of them are defined.
        other: name of the flag that replaces their defaults.
        names: names of the flags; in a command line without `other` they keep
            the defaults with which they were defined.
    """
    for name in names:
        values[name].left_to = other


def default_if(values, other, value, defaults):
    """Gives flags other defaults if the flag `other` has a value.

    `command_line.parse` does so, and `flags.txt` then has these values.

    Args:
        values: absl's `FlagValues`, on which all of them are defined.
        other: name of the flag that changes the defaults.
        value: its value.
        defaults: dict from names of flags to values.
    """
    for name, default in defaults.items():
        values[name].default_if = other, value, default


class _SeveralTimes(absl_flags.Flag):
    """A flag with a list as value; each further use appends to it."""

    def parse(self, argument):
        """Sets the value, or adds to what the command line gave before."""
        before = self.value if self.present else []
        super().parse(argument)
        self.value = [*before, *self.value]


class _PathParser(absl_flags.ArgumentParser):
    """A path whose scheme, if it has one, is known here.

    Args:
        name: name of the flag.
        local: reason why a path with a scheme is refused; None: it is allowed.
    """

    def __init__(self, name, local):
        super().__init__()
        self._name, self._local = name, local

    def parse(self, argument):
        """The text itself."""
        kind = _DATA_SET.match(argument)
        path = argument[kind.end() :] if kind else argument
        if self._local and _SCHEME.match(path):
            raise absl_flags.IllegalFlagValueError(
                f"--{self._name} must be a local directory: {self._local}."
                f" Received: --{self._name}={argument}"
            )
        as_path(path, f"--{self._name}")
        return argument


def as_path(path, name):
    """Converts text to a path object; loads TensorFlow if it has a scheme.

    Args:
        path: a text.
        name: name of the path in the error.

    Raises:
        absl.flags.Error: a file system that is not known here.
    """
    if not _SCHEME.match(path):
        return pathlib.Path(os.path.expanduser(path))
    from simclr_keras import paths  # loads TensorFlow

    try:
        return paths.as_path(path, name)
    except ValueError as error:
        raise absl_flags.IllegalFlagValueError(str(error)) from error
