"""SimCLR for Keras and TensorFlow; imports the public names when used."""

import importlib

_HOMES = {
    "Classifier": "models",
    "LARS": "optimizers",
    "MarginTriplet": "contrastive",
    "NTLogistic": "contrastive",
    "NTXent": "contrastive",
    "ProjectionHead": "networks",
    "ResNet": "networks",
    "SimCLR": "models",
    "TinyResNet": "networks",
    "TwoViews": "views",
    "View": "views",
    "WarmupCosine": "optimizers",
    "as_encoder": "networks",
    "export": "serving",
    "load": "serving",
    "scale_learning_rate": "optimizers",
}
_ROOMS = (
    "contrastive",
    "data",
    "evaluation",
    "models",
    "networks",
    "optimizers",
    "serving",
    "training",
    "views",
)

__all__ = [*sorted(_HOMES), *_ROOMS]
__version__ = "0.1.0"


def __getattr__(name):
    # Loading TensorFlow takes seconds, and `--help` does not need it.
    if name in _HOMES:
        room = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return getattr(room, name)
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
