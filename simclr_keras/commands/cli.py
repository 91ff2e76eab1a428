"""How every command starts: flags in, plain settings out, errors in words."""

import math
import os
import pathlib
import sys
import textwrap
import time
import traceback
import types

from absl import flags

from simclr_keras import old_runs
from simclr_keras.commands import recipes
from simclr_keras.commands import remote_flags

# The environment variable that shows where an error comes from.
_TRACEBACK = "SIMCLR_KERAS_TRACEBACK"
_RUN_FLAGS = "flags.txt"


def parse(define, argv, positional=None):
    """Settings of a command line.

    A `flags.txt` that a run has left, of this or an earlier release, is read
    as it was meant then, by `--flagfile` and in `--model_dir`: flags that are
    no more are passed over, and later ones have the value of then.

    Args:
        define: function that defines the command's flags on a `FlagValues`.
        argv: the command line without the program's name.
        positional: name of a flag that may be given without its name.

    Returns:
        Namespace of the flags' values, with `flags_text`, that of `flags.txt`,
        readable by `--flagfile`; and `flag_defaults`, flag -> text or None.

    Raises:
        absl.flags.Error: an unknown flag, a bad value, a stray argument or a
            path with a scheme that is not known here, or a file that is none
            of flags.
    """
    values = _flag_values(define)
    defaults = {name: _text(values[name].value) for name in values}
    rest = values(["simclr", *_expand(argv, values)])[1:]
    if positional and len(rest) == 1 and values[positional].value is None:
        values[positional].value = rest.pop()
    if rest:
        raise flags.UnrecognizedFlagError(rest[0], rest[0], [])
    remote_flags.check_paths(values.flag_values_dict())
    _keep_values_of_then(values)
    for name in values:
        _check_finite(name, values[name].value)
    settings = types.SimpleNamespace(**values.flag_values_dict())
    texts = {name: _text(values[name].value) for name in values}
    texts.pop("help")
    settings.flags_text = old_runs.flags_text(texts)
    settings.flag_defaults = defaults
    return settings


def _flag_values(define):
    values = flags.FlagValues()
    flags.DEFINE_boolean(
        "help", False, "Show this help and stop.", flag_values=values
    )
    define(values)
    return values


def _expand(argv, values, files=()):
    """The command line with the content of files of flags in their places.

    Args:
        argv: list of arguments.
        values: the command's `FlagValues`.
        files: the files that `argv` is from, the outermost first.
    """
    expanded, argv = [], recipes.as_flagfiles(argv)
    while argv:
        argument = argv.pop(0)
        name, equals, path = argument.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            expanded.append(argument)
            continue
        if not equals and argv:
            path = argv.pop(0)
        if not path or path in files:
            raise flags.IllegalFlagValueError(
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


def _read_flags(path):
    """Text of a file of flags."""
    try:
        return remote_flags.path_of(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise flags.Error(
            f"{path} must be a file of flags, one a line, in UTF-8. Received:"
            f" {error}"
        ) from error


def _lines(path, text):
    """Arguments in a file of flags."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [x for x in lines if x and not x.startswith(("#", "//"))]
    for before, line in zip(["--", *lines], lines):
        # A value may stand on a line of its own.
        value = before.startswith("-") and "=" not in before and before != "--"
        if not line.startswith("-") and not value:
            raise flags.Error(
                f"{path} must be a file of flags, --name=value in each line."
                f" Received: {line[:80]!r}"
            )
    return lines


def _flags_of_run(path, text, values):
    """Arguments that a run's `flags.txt` stands for."""
    there = old_runs.parse_flags(text)
    ours, theirs = old_runs.command_of(values), old_runs.command_of(there)
    if theirs != ours:
        raise flags.Error(
            f"--flagfile must name a file of this command's flags. Received:"
            f" {path}, which is of {theirs}"
        )
    given = {k: text for k, text in there.items() if text is not None}
    given.update(old_runs.values_then(text, values))
    unknown = [name for name in given if name not in values]
    if unknown:
        print(
            "Passed over, as this release has no such flags:"
            f" {' '.join(f'--{n}={given[n]}' for n in unknown)} of {path}."
        )
    return [f"--{n}={given[n]}" for n in given if n not in unknown]


def _keep_values_of_then(values):
    """Gives later flags, unless given, the values of the run in model_dir."""
    directory = "model_dir" in values and values["model_dir"].value
    if not directory or not old_runs.command_of(values):
        return
    path = remote_flags.path_of(directory) / _RUN_FLAGS
    if not path.exists():
        return
    then = old_runs.values_then(_read_flags(path), values)
    for name, text in then.items():
        if not values[name].present:
            values[name].parse(text)
            print(f"--{name}={text}, as {directory} began without this flag.")


def _check_finite(name, value):
    if isinstance(value, float) and not math.isfinite(value):
        raise flags.IllegalFlagValueError(
            f"flag --{name}={value}: must be a finite number"
        )


def _help(define):
    """What the flags are, one paragraph each."""
    values = _flag_values(define)
    paragraphs = ["--flagfile=FILE reads flags from a file, one a line."]
    paragraphs.append(textwrap.fill(recipes.HELP, 79))
    for name in sorted(values):
        flag = values[name]
        text = f"--{name}: {flag.help} Default: {flag.default_as_str or 'none'}"
        paragraphs.append(textwrap.fill(text, 79, subsequent_indent=" " * 4))
    return "\n".join(paragraphs)


def _text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def start(define, run, description, positional=None):
    """Runs a command with the arguments of the process.

    Args:
        define: function that defines its flags on a `FlagValues`.
        run: function of the settings.
        description: what the command does, for `--help`.
        positional: see `parse`.
    """
    started = time.monotonic()
    if {"--help", "-help", "-h"} & set(sys.argv[1:]):
        print(f"{description}\n\n{_help(define)}")
        return
    try:
        settings = parse(define, sys.argv[1:], positional)
    except (flags.Error, OSError) as error:
        _end(error, name=pathlib.Path(sys.argv[0]).name)
    settings.started = started
    try:
        run(settings)
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        _end(error)
    except Exception as error:
        # TensorFlow's error from inside the pipeline, by what it says: its
        # class is not worth loading TensorFlow for.
        if "orrupt image" not in str(error):
            raise
        from simclr_keras.data import corrupt

        _end(error, corrupt.explain(str(error)))


def _end(error, text=None, name=None):
    """Ends the process with an error in words."""
    text = str(error) if text is None else text
    if name is not None:
        text = f"{name}: {text}\n{name} --help lists the flags."
    else:
        text = f"Error: {text}"
    if os.environ.get(_TRACEBACK, "") not in ("", "0"):
        traceback.print_exception(type(error), error, error.__traceback__)
    elif not isinstance(error, (OSError, flags.Error)) and not _is_ours(error):
        text += f"\n{_TRACEBACK}=1 in the environment shows where it is from."
    sys.exit(text)


def _is_ours(error):
    """Whether it is raised by this package, which says what is wrong."""
    frames = traceback.extract_tb(error.__traceback__)
    package = str(pathlib.Path(old_runs.__file__).parent) + os.sep
    return bool(frames) and frames[-1].filename.startswith(package)
