"""Finds recipes, files of flags that come with the package, by their names."""

import pathlib

from absl import flags

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# A wheel holds the recipes inside the package (setup.py puts them there); a
# clone and an editable install have them beside it.
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parent / "flags")
_SUFFIX = ".flags"

HELP = (
    "--recipe=NAME reads the flags of a recipe that comes with the package,"
    " such as cifar10/pretrain; a wrong name lists them all."
)


def names():
    """Sorted names of all recipes, such as `"cifar10/pretrain"`."""
    folder = _folder()
    found = folder.glob(f"*/*{_SUFFIX}")
    return sorted(
        path.relative_to(folder).with_suffix("").as_posix() for path in found
    )


def find(name):
    """Path of a recipe's file of flags.

    Args:
        name: one of `names()`.

    Raises:
        absl.flags.IllegalFlagValueError: there is no such recipe.
    """
    known = names()
    if name not in known:
        raise flags.IllegalFlagValueError(
            f"--recipe must be one of {', '.join(known) or 'none'}; a file of"
            f" your own is read by --flagfile. Received: --recipe={name}"
        )
    return _folder() / f"{name}{_SUFFIX}"


def as_flagfiles(arguments):
    """The arguments, each `--recipe=NAME` replaced by its `--flagfile=PATH`.

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
            argument = f"--flagfile={find(name)}"
        replaced.append(argument)
    return replaced


def _folder():
    return next((f for f in _FOLDERS if f.is_dir()), _FOLDERS[-1])
