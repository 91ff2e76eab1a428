"""Flags whose values have a scheme: paths that are checked early."""

import pathlib
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


def path_of(name):
    """Path object of a name; TensorFlow is loaded for one with a scheme.

    Raises:
        absl.flags.Error: a file system that is not known here.
    """
    if not _SCHEME.match(str(name)):
        return pathlib.Path(name)
    from simclr_keras import paths  # loads TensorFlow

    try:
        return paths.as_path(name, "the path")
    except ValueError as error:
        raise flags.IllegalFlagValueError(str(error)) from error


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
