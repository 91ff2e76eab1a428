"""Makes the Keras callbacks that `--callbacks` names."""

import importlib
import os
import sys

from simclr_keras.commands.common.flag_kinds import Group

_FORM = "PACKAGE.MODULE:FUNCTION"


def define_flag(values):
    """Defines `--callbacks`."""
    Group(values, "training").words(
        "callbacks",
        [],
        f"{_FORM}, a function that is called with a dict of all flags and"
        " returns a Keras callback or a list of them, for training; once for"
        " each. Modules in the current directory are found, too.",
        may_change=True,
    )


def check(names):
    """Imports the functions, so that a wrong name is refused early.

    Args:
        names: value of `--callbacks`.

    Raises:
        ValueError: a module or function does not exist, or is no function.
    """
    for name in names:
        _function(name)


def make(flags):
    """Calls the functions.

    Args:
        flags: the command's.

    Returns:
        List of Keras callbacks, in the order of the names.

    Raises:
        ValueError: a function returned something else, or a callback that
            restores weights by itself, which the run directory does.
    """
    return [
        each
        for name in flags.callbacks
        for each in _of_one(
            name,
            {flag: getattr(flags, flag) for flag in flags.flag_defaults},
        )
    ]


def _of_one(name, values):
    import keras

    made = _function(name)(values)
    made = list(made) if isinstance(made, (list, tuple)) else [made]
    for callback in made:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                "--callbacks must name functions that return a Keras callback"
                f" or a list of them. Received: --callbacks={name}, which"
                f" returned {callback!r}"
            )
        _refuse_restoring(name, callback)
    return made


def _refuse_restoring(name, callback):
    """Refuses callbacks after which results fit none of the checkpoints."""
    import keras

    if getattr(callback, "restore_best_weights", False):
        raise ValueError(
            "--callbacks must not restore weights: the results would not be"
            " those of the last checkpoint. Leave restore_best_weights out; the"
            " best checkpoint is checkpoints/best.npz. Received:"
            f" --callbacks={name}"
        )
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        raise ValueError(
            "--callbacks must not resume the training, which the run directory"
            f" does. Received: --callbacks={name}, a BackupAndRestore"
        )


def _function(name):
    """The function that a name such as package.module:function stands for."""
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ValueError(
            f"--callbacks must be {_FORM}. Received: --callbacks={name}"
        )
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)  # last: it hides no installed package
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module of the user can raise anything
        raise ValueError(
            "--callbacks must name a module that can be imported. Received:"
            f" --callbacks={name} ({type(error).__name__}: {error})"
        ) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(
            f"--callbacks must name a function of the module {module_name}."
            f" Received: --callbacks={name}"
        )
    return function
