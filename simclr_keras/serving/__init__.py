from simclr_keras.serving.export import export
from simclr_keras.serving.load import Loaded
from simclr_keras.serving.load import load
from simclr_keras.serving.official import Official
from simclr_keras.serving.official import load_official

__all__ = ["Loaded", "Official", "export", "load", "load_official"]
