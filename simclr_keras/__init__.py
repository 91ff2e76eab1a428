"""SimCLR for Keras and TensorFlow.

The public names are imported when they are used, or at once if Keras has been
imported before.
"""

import importlib
import sys

# From public names to the subpackages that define them.
_EXPORTS = {
    "Classifier": "models",
    "LARS": "optimizers",
    "MarginTriplet": "contrastive",
    "NTLogistic": "contrastive",
    "NTXent": "contrastive",
    "ProjectionHead": "networks",
    "ResNet": "networks",
    "SimCLR": "models",
    "SupervisedContrastive": "contrastive",
    "TinyResNet": "networks",
    "TwoViews": "views",
    "View": "views",
    "WarmupCosine": "optimizers",
    "as_encoder": "networks",
    "export": "serving",
    "load": "serving",
    "scale_learning_rate": "optimizers",
}
_SUBPACKAGES = (
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

__all__ = [*sorted(_EXPORTS), *_SUBPACKAGES]
__version__ = "0.1.0"


def __getattr__(name):
    # Importing TensorFlow takes seconds, and `--help` does not need it.
    if name in _EXPORTS:
        package = importlib.import_module(f"{__name__}.{_EXPORTS[name]}")
        return getattr(package, name)
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__


if "keras" in sys.modules:
    # `keras.models.load_model` knows only classes that are registered.
    importlib.import_module(f"{__name__}.training").register_classes()
