"""Reads a command line, with the files of flags and the recipes it names.

A recipe is a file of flags that comes with the package.
"""

import math
import pathlib
import types

from absl import flags as absl_flags

from simclr_keras import old_runs
from simclr_keras.commands.common import flag_kinds

RECIPE_HELP = (
    "--recipe=NAME reads the flags of a recipe that comes with the package,"
    " such as cifar10/pretrain; a wrong name lists them all."
)
_PACKAGE = pathlib.Path(__file__).resolve().parents[2]
# A wheel holds the recipes inside the package (setup.py puts them there); a
# clone and an editable install have them beside it.
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parent / "flags")
_SUFFIX = ".flags"
_RUN_FLAGS = "flags.txt"


def parse(define, argv, positional=None):
    """Settings of a command line.

    A run's `flags.txt`, from this or an earlier release, keeps its meaning, by
    `--flagfile` and in `--model_dir`: flags that were removed since are
    skipped, and flags that were added since get the value that fits how
    releases without them behaved.

    Args:
        define: function that defines the command's flags on a `FlagValues`.
        argv: the command line without the program's name.
        positional: name of a flag that takes several values; they may be given
            without the name.

    Returns:
        Namespace of the flags' values, with `flags_text`, the text for
        `flags.txt`, readable by `--flagfile`; `flag_defaults`, a dict of flag
        -> text or None; and `may_change`, names of the flags that may have
        another value when a run is resumed.

    Raises:
        absl.flags.Error: an unknown flag, a bad value, a stray argument, a path
            with a scheme that is not known here, or a file that does not
            contain flags.
    """
    values = absl_flags.FlagValues()
    define(values)
    defaults = {name: _text(values[name]) for name in values}
    rest = values(["simclr", *_expand(argv, values)])[1:]
    if positional and rest:
        values[positional].parse(rest)
    elif rest:
        raise absl_flags.UnrecognizedFlagError(rest[0], rest[0], [])
    _keep_earlier_defaults(values)
    _leave_to_others(values)
    _depend_on_others(values)
    for name in values:
        _check_finite(name, values[name].value)
    flags = types.SimpleNamespace(**values.flag_values_dict())
    texts = {name: _text(values[name]) for name in values}
    flags.flags_text = old_runs.flags_text(texts)
    flags.flag_defaults = defaults
    flags.may_change = [
        name for name in values if getattr(values[name], "may_change", False)
    ]
    return flags


def _expand(argv, values, files=()):
    """The command line with each file of flags replaced by its content.

    Args:
        argv: list of arguments.
        values: the command's `FlagValues`.
        files: the nested files that `argv` was read from, outermost first.
    """
    expanded, argv = [], _recipes_as_flagfiles(argv)
    while argv:
        argument = argv.pop(0)
        name, equals, path = argument.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            expanded.append(argument)
            continue
        if not equals and argv:
            path = argv.pop(0)
        if not path or path in files:
            raise absl_flags.IllegalFlagValueError(
                "--flagfile must name a file of flags that does not read"
                f" itself. Received: --flagfile={path}"
            )
        text = _read_flags(path)
        there = old_runs.parse_flags(text)
        if pathlib.PurePath(path).name == _RUN_FLAGS and (
            old_runs.command_of(there)
        ):
            expanded += _flags_of_run(path, text, values)
        else:
            lines = _lines(path, text)
            expanded += _expand(lines, values, (*files, path))
    return expanded


def _recipes_as_flagfiles(arguments):
    """The arguments with each `--recipe=NAME` replaced by `--flagfile=PATH`.

    Raises:
        absl.flags.IllegalFlagValueError: there is no such recipe.
    """
    replaced, arguments = [], list(arguments)
    while arguments:
        argument = arguments.pop(0)
        option, equals, name = argument.partition("=")
        if option in ("--recipe", "-recipe"):
            if not equals:
                name = arguments.pop(0) if arguments else ""
            argument = f"--flagfile={find_recipe(name)}"
        replaced.append(argument)
    return replaced


def find_recipe(name):
    """Path of a recipe's file of flags.

    Args:
        name: one of `recipe_names()`.

    Raises:
        absl.flags.IllegalFlagValueError: there is no such recipe.
    """
    known = recipe_names()
    if name not in known:
        raise absl_flags.IllegalFlagValueError(
            f"--recipe must be one of {', '.join(known) or 'none'}; a file of"
            f" your own is read by --flagfile. Received: --recipe={name}"
        )
    return _recipe_folder() / f"{name}{_SUFFIX}"


def recipe_names():
    """Sorted names of all recipes, such as `"cifar10/pretrain"`."""
    folder = _recipe_folder()
    found = folder.glob(f"*/*{_SUFFIX}")
    return sorted(
        path.relative_to(folder).with_suffix("").as_posix() for path in found
    )


def _recipe_folder():
    return next((f for f in _FOLDERS if f.is_dir()), _FOLDERS[-1])


def _read_flags(path):
    """Text of a file of flags."""
    try:
        file = flag_kinds.as_path(path, "--flagfile")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise absl_flags.Error(
            f"{path} must be a file of flags, one a line, in UTF-8. Received:"
            f" {error}"
        ) from error


def _lines(path, text):
    """Arguments in a file of flags."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [x for x in lines if x and not x.startswith(("#", "//"))]
    for before, line in zip(["--", *lines], lines):
        # `--name` without `=` may have its value on the next line.
        value = before.startswith("-") and "=" not in before and before != "--"
        if not line.startswith("-") and not value:
            raise absl_flags.Error(
                f"{path} must be a file of flags, --name=value in each line."
                f" Received: {line[:80]!r}"
            )
    return lines


def _flags_of_run(path, text, values):
    """Arguments that have the effect of a run's `flags.txt`."""
    there = old_runs.parse_flags(text)
    ours, theirs = old_runs.command_of(values), old_runs.command_of(there)
    if theirs != ours:
        raise absl_flags.Error(
            f"--flagfile must name a file of this command's flags. Received:"
            f" {path}, which is of {theirs}"
        )
    given = {k: text for k, text in there.items() if text is not None}
    given.update(old_runs.values_then(text, values))
    unknown = [name for name in given if name not in values]
    if unknown:
        print(
            "Ignored flags that this release does not have:"
            f" {' '.join(f'--{n}={given[n]}' for n in unknown)} of {path}."
        )
    return [f"--{n}={given[n]}" for n in given if n not in unknown]


def _keep_earlier_defaults(values):
    """Keeps the behaviour of a run in model_dir that is older than some flags.

    Flags that were added later get the values that fit it, unless given.
    """
    directory = "model_dir" in values and values["model_dir"].value
    if not directory or not old_runs.command_of(values):
        return
    path = flag_kinds.as_path(directory, "--model_dir") / _RUN_FLAGS
    if not path.exists():
        return
    then = old_runs.values_then(_read_flags(str(path)), values)
    for name, text in then.items():
        if not values[name].present:
            values[name].parse(text)
            print(f"--{name}={text}, as {directory} began without this flag.")


def _leave_to_others(values):
    """Sets flags to None as `flag_kinds.leave_to` has asked."""
    for name in values:
        other = getattr(values[name], "left_to", None)
        if other and values[other].value and not values[name].present:
            values[name].value = None


def _depend_on_others(values):
    """Sets flags to the defaults that `flag_kinds.default_if` has set."""
    for name in values:
        other, value, default = getattr(
            values[name], "default_if", (name, None, None)
        )
        if values[other].value == value and not values[name].present:
            values[name].value = default


def _check_finite(name, value):
    if isinstance(value, float) and not math.isfinite(value):
        raise absl_flags.IllegalFlagValueError(
            f"flag --{name}={value}: must be a finite number"
        )


def _text(flag):
    """The value as text for `flags.txt`; None if the flag has no value."""
    value = flag.value
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return getattr(flag.serializer, "list_sep", ",").join(map(str, value))
    return str(value)
