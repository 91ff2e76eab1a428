"""Deserialises Keras objects without running other code that a file names.

A configuration names classes by module and name. Keras 2.15 imports any such
module, and accepts any function in it as an activation. This module checks all
names before Keras sees them.
"""

from __future__ import annotations

import functools
import importlib
import json
import pathlib
import tempfile
import warnings
import zipfile
from typing import Any

import keras

from simclr_keras import paths

_PACKAGES = ("keras", "keras_cv", "keras_hub", "keras_nlp", "simclr_keras")
# Modules of Keras with functions that a configuration may name.
_FUNCTIONS = (
    "activations",
    "constraints",
    "initializers",
    "losses",
    "metrics",
    "regularizers",
)
# Layers of Keras 2.15 that call an operation of TensorFlow by name; and the
# modules of TensorFlow whose operations compute and access no files.
_OPERATIONS = ("TFOpLambda", "SlicingOpLambda")
_COMPUTING = ("__operators__", "bitwise", "image", "linalg", "math", "nn")
_OTHER_OPERATIONS = (
    "import_graph_def",
    "load_library",
    "load_op_library",
    "numpy_function",
    "py_function",
)
# Layers that can call any operation, method or graph.
_REFUSED = ("ClassMethod", "TensorFlowOpLayer", "TFSMLayer")


def deserialize(config: dict[str, Any], path: paths.PathLike) -> Any:
    """`keras.saving.deserialize_keras_object` of a configuration in a file.

    A model whose loss or optimizer is not registered with Keras is not
    compiled, and a warning says so.

    Args:
        config: dict from the file.
        path: path of the file, for the error message.

    Raises:
        ValueError: the configuration names something that is neither
            registered with Keras (`keras.saving.register_keras_serializable`,
            `keras.saving.custom_object_scope`) nor a class of Keras, of its
            libraries or of this package.
    """
    config = _without_unknown_losses(config, path)
    _check(config, path)
    return keras.saving.deserialize_keras_object(config)


def load_keras_file(path: paths.PathLike) -> keras.Model:
    """`keras.saving.load_model` of a `.keras` file; raises as `deserialize`."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(
            "checkpoint must be a .keras file as Keras writes it, a zip archive"
            f" with config.json. Received: {str(path)!r} ({error})"
        ) from error
    known = _without_unknown_losses(config, path)
    _check(known, path)
    if known == config:
        return keras.saving.load_model(path)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "model.keras")
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(file, "w") as new:
            for member in old.infolist():
                content = old.read(member)
                if member.filename == "config.json":
                    content = json.dumps(known)
                new.writestr(member, content)
        return keras.saving.load_model(file)


def _without_unknown_losses(config, path):
    """Drops compile configurations that name something not registered.

    It does so for models within a model, too.
    """
    if isinstance(config, (list, tuple)):
        return [_without_unknown_losses(part, path) for part in config]
    if not isinstance(config, dict):
        return config
    problem = next(_problems(config.get("compile_config")), None)
    if problem:
        warnings.warn(
            f"A model of {str(path)!r} is loaded without its loss and"
            f" optimizer, which name {problem}: it is not registered with Keras"
            " (keras.saving.register_keras_serializable,"
            " keras.saving.custom_object_scope). Features are the same; compile"
            " the model before you train it.",
            stacklevel=4,
        )
        config = {k: v for k, v in config.items() if k != "compile_config"}
    return {k: _without_unknown_losses(v, path) for k, v in config.items()}


def _check(config, path):
    """Refuses a configuration with a forbidden name."""
    for problem in _problems(config):
        raise ValueError(
            "a model's file may name classes of Keras and simclr_keras, and"
            " those that are registered before it is loaded (see"
            " keras.saving.register_keras_serializable and"
            " keras.saving.custom_object_scope); nothing else is imported."
            f" Received: {str(path)!r}, which names {problem}"
        )


def _problems(config):
    """The forbidden names in all parts of a configuration."""
    parts = config if isinstance(config, (list, tuple)) else ()
    if isinstance(config, dict):
        if isinstance(config.get("module"), str) and "class_name" in config:
            problem = _problem(config)
            if problem:
                yield problem
        parts = config.values()
    for part in parts:
        yield from _problems(part)


def _problem(config):
    """The forbidden name in a part of a configuration, or None."""
    module, kind, inner = (
        config.get(key) for key in ("module", "class_name", "config")
    )
    is_function = kind == "function"
    name = inner if is_function else kind
    key = name if is_function else config.get("registered_name")
    for registered in (key, name):
        if isinstance(registered, str) and _is_registered(registered):
            return None
    full = f"{module}.{name}"
    if is_function:
        return None if _is_function(module, name) else f"the function {full}"
    if module.split(".")[0] not in _PACKAGES:
        return full
    cls = _resolve(module, name)
    if not (isinstance(cls, type) and hasattr(cls, "from_config")):
        return f"{full}, which Keras {keras.__version__} lacks"
    if cls.__module__.split(".")[0] not in _PACKAGES or name in _REFUSED:
        return full
    if name in _OPERATIONS and not _computes(inner):
        return f"the operation {(inner or {}).get('function')!r}"
    return None


def _is_registered(name):
    return keras.saving.get_registered_object(name) is not None


def _is_function(module, name):
    """Whether a function is one of Keras's activations, losses and the like."""
    parts = module.split(".")
    kinds = _FUNCTIONS if parts == ["builtins"] else parts[-1:]
    if parts[0] not in ("keras", "builtins"):
        return False
    return any(
        kind in _FUNCTIONS and callable(getattr(getattr(keras, kind), name, 0))
        for kind in kinds
    )


def _resolve(module, name):
    """The object of a name in a module of an allowed package, or None."""
    try:
        try:
            namespace = importlib.import_module(module)
        except ImportError:  # Keras exports namespaces that are not modules
            first, *rest = module.split(".")
            namespace = importlib.import_module(first)
            namespace = functools.reduce(getattr, rest, namespace)
    except (ImportError, AttributeError):
        return None
    return getattr(namespace, name, None)


def _computes(config):
    """Whether the TensorFlow operation of a layer only computes."""
    symbol = (config or {}).get("function")
    if not isinstance(symbol, str):
        return False
    if "." in symbol:
        return symbol.split(".")[0] in _COMPUTING
    return symbol not in _OTHER_OPERATIONS
