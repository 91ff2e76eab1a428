from simclr_keras.serving.export import export
from simclr_keras.serving.official import Official
from simclr_keras.serving.official import load_official

__all__ = ["Official", "export", "load_official"]
