"""How every command starts: flags in, plain settings out, errors in words."""

import pathlib
import sys
import textwrap
import time
import types

from absl import flags

from simclr_keras.commands import remote_flags


def parse(define, argv, positional=None):
    """Settings of a command line.

    Args:
        define: function that defines the command's flags on a `FlagValues`.
        argv: the command line without the program's name.
        positional: name of a flag that may be given without its name.

    Returns:
        Namespace of the flags' values, with `flags_text`: one
        `--name=value` per line, readable by `--flagfile`.

    Raises:
        absl.flags.Error: an unknown flag, a bad value, a stray argument or a
            path with a scheme that is not known here.
    """
    values = _flag_values(define)
    rest = values(["simclr", *remote_flags.expand_flagfiles(argv)])[1:]
    if positional and len(rest) == 1 and values[positional].value is None:
        values[positional].value = rest.pop()
    if rest:
        raise flags.UnrecognizedFlagError(rest[0], rest[0], [])
    remote_flags.check_paths(values.flag_values_dict())
    settings = types.SimpleNamespace(**values.flag_values_dict())
    settings.flags_text = "".join(
        f"--{name}={_text(value)}\n"
        for name, value in sorted(values.flag_values_dict().items())
        if value is not None and name != "help"
    )
    return settings


def _flag_values(define):
    values = flags.FlagValues()
    flags.DEFINE_boolean(
        "help", False, "Show this help and stop.", flag_values=values
    )
    define(values)
    return values


def _help(define):
    """What the flags are, one paragraph each."""
    values = _flag_values(define)
    paragraphs = ["--flagfile=FILE reads flags from a file, one a line."]
    for name in sorted(values):
        flag = values[name]
        text = f"--{name}: {flag.help} Default: {flag.default_as_str or 'none'}"
        paragraphs.append(textwrap.fill(text, 79, subsequent_indent=" " * 4))
    return "\n".join(paragraphs)


def _text(value):
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
        program = pathlib.Path(sys.argv[0]).name
        sys.exit(f"{program}: {error}\n{program} --help lists the flags.")
    settings.started = started
    try:
        run(settings)
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        sys.exit(f"Error: {error}")
    except Exception as error:
        # TensorFlow's error from inside the pipeline, by what it says: its
        # class is not worth loading TensorFlow for.
        if "orrupt image" not in str(error):
            raise
        sys.exit(f"Error: {error}")
