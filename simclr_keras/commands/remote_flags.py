"""Flags whose values have a scheme: flag files, and paths checked early."""

import re

from absl import flags

# A scheme, with both slashes or with the one that a shell or pathlib left.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# Of the flags that name a path, those that a scheme may begin.
_PATHS = (
    "model_dir",
    "data_dir",
    "checkpoint",
    "export_dir",
    "output",
    "dataset",
    "probe_dataset",
    "neighbors",
)
# Of a data set whose path stands behind it.
_KIND = re.compile("folder:|arrays:")


def expand_flagfiles(argv):
    """Puts the lines of flag files with a scheme in their place.

    absl reads local ones by itself.

    Args:
        argv: list of arguments.

    Returns:
        List of arguments.

    Raises:
        absl.flags.Error: such a file cannot be read, or names itself.
    """
    return _expanded(list(argv), ())


def _expanded(argv, within):
    done = []
    while argv:
        argument = argv.pop(0)
        if argument == "--":
            return [*done, argument, *argv]
        name, _, value = argument.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            done.append(argument)
            continue
        if argument == name and argv:
            value = argv.pop(0)
        if _SCHEME.match(value):
            done += _expanded(_lines(value.strip(), within), (*within, value))
        else:
            done.append(f"{name}={value}" if value else name)
    return done


def _lines(name, within):
    """The flags in a file, without blank lines and comments."""
    from simclr_keras import paths  # loads TensorFlow

    if name in within:
        raise flags.CantOpenFlagFileError(f"--flagfile={name} names itself")
    try:
        text = paths.as_path(name, "--flagfile").read_text()
    except (OSError, ValueError) as error:
        raise flags.CantOpenFlagFileError(
            f"--flagfile cannot be read: {error}"
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    return [x for x in lines if x and not x.startswith(("#", "//"))]


def check_paths(values):
    """Refuses paths of file systems that are not known here.

    Args:
        values: dict of flag name -> value.

    Raises:
        absl.flags.Error: there is one.
    """
    for name, value in values.items():
        if not isinstance(value, str):
            continue
        if name == "cache_dir" and _SCHEME.match(value):
            raise flags.IllegalFlagValueError(
                "--cache_dir must be a local directory: the images in it are"
                f" mapped into memory. Received: --cache_dir={value}"
            )
        kind = _KIND.match(value)
        path = value[kind.end() :] if kind and "dataset" in name else value
        if name in _PATHS and _SCHEME.match(path):
            from simclr_keras import paths  # loads TensorFlow

            try:
                paths.as_path(path, f"--{name}")
            except ValueError as error:
                raise flags.IllegalFlagValueError(str(error)) from error
