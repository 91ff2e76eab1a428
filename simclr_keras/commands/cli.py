"""Starts a command: reads its flags, shows its help, explains its errors."""

import math
import os
import pathlib
import sys
import textwrap
import time
import traceback
import types

from absl import flags

import simclr_keras
from simclr_keras import old_runs
from simclr_keras.commands import flag_kinds
from simclr_keras.commands import recipes

# The environment variable that shows where an error comes from.
_TRACEBACK = "SIMCLR_KERAS_TRACEBACK"
_RUN_FLAGS = "flags.txt"
_REQUIRED = {
    "model_dir": "--model_dir must name the run directory, such as"
    " --model_dir=runs/first.",
    "checkpoint": "--checkpoint must name a pre-training's run directory, a"
    " checkpoint in it, a .keras file, an export or a file of weights.",
    "eval_split": "--eval_split must name the split that the accuracy is"
    " measured on.",
}
_FILES = "\n".join(
    [
        "--flagfile=FILE reads flags from a file, one a line.",
        textwrap.fill(recipes.HELP, 79),
    ]
)


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
        readable by `--flagfile`; `flag_defaults`, flag -> text or None; and
        `may_change`, names of the flags that may have another value when a run
        is resumed.

    Raises:
        absl.flags.Error: an unknown flag, a bad value, a stray argument or a
            path with a scheme that is not known here, or a file that is none
            of flags.
    """
    values = flags.FlagValues()
    define(values)
    defaults = {name: _text(values[name].value) for name in values}
    rest = values(["simclr", *_expand(argv, values)])[1:]
    if positional and len(rest) == 1 and values[positional].value is None:
        values[positional].parse(rest.pop())
    if rest:
        raise flags.UnrecognizedFlagError(rest[0], rest[0], [])
    _keep_values_of_then(values)
    for name in values:
        _check_finite(name, values[name].value)
    settings = types.SimpleNamespace(**values.flag_values_dict())
    texts = {name: _text(values[name].value) for name in values}
    settings.flags_text = old_runs.flags_text(texts)
    settings.flag_defaults = defaults
    settings.may_change = [
        name for name in values if getattr(values[name], "may_change", False)
    ]
    return settings


def require(settings, *names):
    """Refuses settings that lack a flag, before TensorFlow is loaded.

    Args:
        settings: the command's.
        *names: `"model_dir"`, `"checkpoint"` or `"eval_split"`.

    Raises:
        ValueError: one of them is not given.
    """
    for name in names:
        if not getattr(settings, name):
            raise ValueError(f"{_REQUIRED[name]} Received: nothing")


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
        file = flag_kinds.as_path(path, "--flagfile")
        return file.read_text(encoding="utf-8")
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
    path = flag_kinds.as_path(directory, "--model_dir") / _RUN_FLAGS
    if not path.exists():
        return
    then = old_runs.values_then(_read_flags(str(path)), values)
    for name, text in then.items():
        if not values[name].present:
            values[name].parse(text)
            print(f"--{name}={text}, as {directory} began without this flag.")


def _check_finite(name, value):
    if isinstance(value, float) and not math.isfinite(value):
        raise flags.IllegalFlagValueError(
            f"flag --{name}={value}: must be a finite number"
        )


def _help(define, description, first, example):
    """What the command does, an example, what matters first, and all names."""
    values = flags.FlagValues()
    define(values)
    groups = values.flags_by_module_dict()
    parts = [description]
    if example:
        parts.append(f"Example:\n  {example}")
    if first:
        parts.append(f"First of all:\n{_paragraphs(values, first)}")
    names = [
        textwrap.fill(
            " ".join(f"--{flag.name}" for flag in groups[group]),
            79,
            initial_indent=f"  {group:<10}",
            subsequent_indent=" " * 12,
            break_on_hyphens=False,
        )
        for group in flag_kinds.GROUPS
        if group in groups
    ]
    parts.append("\n".join(["All flags; --helpfull explains them:", *names]))
    parts.append(_FILES)
    return "\n\n".join(parts)


def _helpfull(define, description):
    """What the command does, and every flag, by group."""
    values = flags.FlagValues()
    define(values)
    groups = values.flags_by_module_dict()
    parts = [description, _FILES]
    for group in flag_kinds.GROUPS:
        if group in groups:
            names = [flag.name for flag in groups[group]]
            parts.append(f"{group}:\n{_paragraphs(values, names)}")
    return "\n\n".join(parts)


def _paragraphs(values, names):
    """The help of some flags, a paragraph each."""
    paragraphs = []
    for name in names:
        flag = values[name]
        default = (flag.default_as_str or "none").strip("'")
        text = f"--{name}: {flag.help} Default: {default}"
        paragraphs.append(
            textwrap.fill(
                text, 79, initial_indent="  ", subsequent_indent=" " * 6
            )
        )
    return "\n".join(paragraphs)


def _text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def start(define, run, description, positional=None, first=(), example=None):
    """Runs a command with the arguments of the process.

    Args:
        define: function that defines its flags on a `FlagValues`.
        run: function of the settings.
        description: what the command does, for `--help`.
        positional: see `parse`.
        first: names of the flags that `--help` explains.
        example: a command line, for `--help`.
    """
    started = time.monotonic()
    # `simclr-export --version 3` is another flag.
    if sys.argv[1:] in (["--version"], ["-version"]):
        print(f"simclr_keras {simclr_keras.__version__}")
        return
    if {"--helpfull", "-helpfull"} & set(sys.argv[1:]):
        print(_helpfull(define, description))
        return
    if {"--help", "-help", "-h"} & set(sys.argv[1:]):
        print(_help(define, description, first, example))
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
    """Ends the process with what an error says."""
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
    """Whether this package raised it, whose messages say what is wrong."""
    frames = traceback.extract_tb(error.__traceback__)
    package = str(pathlib.Path(old_runs.__file__).parent) + os.sep
    return bool(frames) and frames[-1].filename.startswith(package)
