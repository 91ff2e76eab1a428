"""Makes the Keras objects that a file describes, and runs nothing else of it.

A configuration names classes by module and name. Keras 2.15 imports whatever
module that is, and takes any function of it for an activation; here all names
are checked before Keras sees them.
"""

import functools
import importlib
import json
import zipfile

import keras

_PACKAGES = ("keras", "keras_cv", "keras_hub", "keras_nlp", "simclr_keras")
# Where Keras keeps the functions that a configuration may name.
_FUNCTIONS = (
    "activations",
    "constraints",
    "initializers",
    "losses",
    "metrics",
    "regularizers",
)
# Layers of Keras 2.15 around an operation of TensorFlow, given by its name:
# what of TensorFlow computes and neither reads nor writes files.
_OPERATIONS = ("TFOpLambda", "SlicingOpLambda")
_COMPUTING = ("__operators__", "bitwise", "image", "linalg", "math", "nn")
_OTHER_OPERATIONS = (
    "import_graph_def",
    "load_library",
    "load_op_library",
    "numpy_function",
    "py_function",
)
# Layers around any operation, method or graph.
_REFUSED = ("ClassMethod", "TensorFlowOpLayer", "TFSMLayer")


def deserialize(config, path):
    """`keras.saving.deserialize_keras_object` of a configuration in a file.

    Args:
        config: dict that was read.
        path: of the file, for the error.

    Raises:
        ValueError: it names something that is neither registered with Keras
            (`keras.saving.register_keras_serializable`,
            `keras.saving.custom_object_scope`) nor a class of Keras, of its
            libraries or of this package.
    """
    _check(config, path)
    return keras.saving.deserialize_keras_object(config)


def load_keras_file(path):
    """`keras.saving.load_model` of a `.keras` file; raises as `deserialize`."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(
            "checkpoint must be a .keras file as Keras writes it, a zip archive"
            f" with config.json. Received: {str(path)!r} ({error})"
        ) from error
    _check(config, path)
    return keras.saving.load_model(path)


def _check(config, path):
    """Looks at every part of a configuration."""
    if isinstance(config, (list, tuple)):
        for part in config:
            _check(part, path)
    if not isinstance(config, dict):
        return
    if isinstance(config.get("module"), str) and "class_name" in config:
        problem = _problem(config)
        if problem:
            raise ValueError(
                "a model's file may name classes of Keras and simclr_keras,"
                " and those that are registered before it is loaded (see"
                " keras.saving.register_keras_serializable and"
                " keras.saving.custom_object_scope); nothing else is imported."
                f" Received: {str(path)!r}, which names {problem}"
            )
    for part in config.values():
        _check(part, path)


def _problem(config):
    """What a part names that it may not, or None."""
    module, kind, inner = (
        config.get(key) for key in ("module", "class_name", "config")
    )
    is_function = kind == "function"
    name = inner if is_function else kind
    for known in (name if is_function else config.get("registered_name"), name):
        if isinstance(known, str) and _is_registered(known):
            return None
    full = f"{module}.{name}"
    if is_function:
        return None if _is_function(module, name) else f"the function {full}"
    if module.split(".")[0] not in _PACKAGES:
        return full
    found = _resolve(module, name)
    if not (isinstance(found, type) and hasattr(found, "from_config")):
        return f"{full}, which Keras {keras.__version__} lacks"
    if found.__module__.split(".")[0] not in _PACKAGES or name in _REFUSED:
        return full
    if name in _OPERATIONS and not _computes(inner):
        return f"the operation {(inner or {}).get('function')!r}"
    return None


def _is_registered(name):
    return keras.saving.get_registered_object(name) is not None


def _is_function(module, name):
    """Whether it is one of Keras's activations, losses and the like."""
    parts = module.split(".")
    rooms = _FUNCTIONS if parts == ["builtins"] else parts[-1:]
    if parts[0] not in ("keras", "builtins"):
        return False
    return any(
        room in _FUNCTIONS and callable(getattr(getattr(keras, room), name, 0))
        for room in rooms
    )


def _resolve(module, name):
    """The object that a module of a known package has under a name."""
    try:
        try:
            place = importlib.import_module(module)
        except ImportError:  # names that Keras exports are no modules of it
            first, *rest = module.split(".")
            place = importlib.import_module(first)
            place = functools.reduce(getattr, rest, place)
    except (ImportError, AttributeError):
        return None
    return getattr(place, name, None)


def _computes(config):
    """Whether a layer's operation of TensorFlow computes and no more."""
    symbol = (config or {}).get("function")
    if not isinstance(symbol, str):
        return False
    if "." in symbol:
        return symbol.split(".")[0] in _COMPUTING
    return symbol not in _OTHER_OPERATIONS
