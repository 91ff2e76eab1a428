"""Starts a command: shows its help, and explains its errors."""

import functools
import os
import pathlib
import sys
import textwrap
import time
import traceback
import warnings

from absl import flags as absl_flags

import simclr_keras
from simclr_keras import xla_cache
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import flag_kinds
from simclr_keras.commands.common import tensorflow_log

_FORMAT_WARNING = warnings.formatwarning
# The environment variable that makes errors show their traceback.
_TRACEBACK = "SIMCLR_KERAS_TRACEBACK"
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
        textwrap.fill(command_line.RECIPE_HELP, 79),
    ]
)


def require(flags, *names):
    """Refuses flags of which one is missing, before TensorFlow is loaded.

    Args:
        flags: the command's.
        *names: `"model_dir"`, `"checkpoint"` or `"eval_split"`.

    Raises:
        ValueError: one of them is not given.
    """
    for name in names:
        if not getattr(flags, name):
            raise ValueError(f"{_REQUIRED[name]} Received: nothing")


def _help(define, description, first, example):
    """Description, example, help of the first flags, and names of all flags."""
    values = absl_flags.FlagValues()
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
    """Description, and the help of every flag, by group."""
    values = absl_flags.FlagValues()
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


def start(
    define,
    run,
    description,
    positional=None,
    first=(),
    example=None,
    draws_views=False,
):
    """Runs a command with the arguments of the process.

    Args:
        define: function that defines its flags on a `FlagValues`.
        run: function of the flags.
        description: text on what the command does, for `--help`.
        positional: see `command_line.parse`.
        first: names of the flags that `--help` explains.
        example: a command line, for `--help`.
        draws_views: whether `run` may compile views by XLA; `xla_cache` then
            keeps the compiled programs.
    """
    started = time.monotonic()
    warnings.formatwarning = _format_warning
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a test replaces it
            # Names of files may have letters that the terminal does not know.
            stream.reconfigure(errors="backslashreplace")
    # `simclr-export` has a flag of this name, but with a value: --version 3.
    if sys.argv[1:] in (["--version"], ["-version"]):
        print(f"simclr_keras {simclr_keras.__version__}")
        return
    if {"--helpfull", "-helpfull"} & set(sys.argv[1:]):
        print(_helpfull(define, description))
        return
    if {"--help", "-help", "-h"} & set(sys.argv[1:]):
        print(_help(define, description, first, example))
        return
    tensorflow_log.silence(sys.argv[1:])
    if draws_views:
        xla_cache.enable()  # before a path such as gs://... loads TensorFlow
    try:
        flags = command_line.parse(define, sys.argv[1:], positional)
    except (absl_flags.Error, OSError) as error:
        _end(error, name=pathlib.Path(sys.argv[0]).name)
    flags.started = started
    if getattr(flags, "verbose_tensorflow", False):  # set in a file of flags
        tensorflow_log.unsilence()
    try:
        run(flags)
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        _end(error)
    except Exception as error:
        # An error of TensorFlow's from inside the pipeline is recognised by its
        # text: to compare its class, this module would have to load TensorFlow.
        text = str(error)
        if "orrupt image" in text:
            from simclr_keras.data import corrupt

            _end(error, corrupt.explain(text))
        if "the data service at" in text:
            from simclr_keras.data import arrivals

            _end(error, arrivals.explain(text))
        raise


def training_command(define, run, description, first, example):
    """Makes the `main` of a command that trains; see `start` for the arguments.

    Returns:
        Function without arguments.
    """
    return functools.partial(
        start,
        define,
        run,
        description,
        first=first,
        example=example,
        draws_views=True,
    )


def _format_warning(message, category, filename, lineno, line=None):
    """Text of a warning, without the place in the code if it is for users."""
    if category is UserWarning:
        return f"Warning: {message}\n"
    return _FORMAT_WARNING(message, category, filename, lineno, line)


def _end(error, text=None, name=None):
    """Ends the process with the text of an error."""
    text = str(error) if text is None else text
    if name is not None:
        text = f"{name}: {text}\n{name} --help lists the flags."
    else:
        text = f"Error: {text}"
    is_usual = isinstance(error, (OSError, absl_flags.Error))
    if os.environ.get(_TRACEBACK, "") not in ("", "0"):
        traceback.print_exception(type(error), error, error.__traceback__)
    elif not (is_usual or _is_ours(error)):
        text += f"\n{_TRACEBACK}=1 in the environment shows where it is from."
    sys.exit(text)


def _is_ours(error):
    """Whether this package raised it: such messages need no traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    package = str(pathlib.Path(simclr_keras.__file__).parent) + os.sep
    return bool(frames) and frames[-1].filename.startswith(package)
