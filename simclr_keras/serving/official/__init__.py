from simclr_keras.serving.official.load import Official
from simclr_keras.serving.official.load import load_official

__all__ = ["Official", "load_official"]
