"""Exports models, and loads trained, exported and official ones."""

from simclr_keras.serving.export import export
from simclr_keras.serving.load import Loaded
from simclr_keras.serving.load import load
from simclr_keras.serving.load import read_card
from simclr_keras.serving.official import Official
from simclr_keras.serving.official import load_official
from simclr_keras.serving.weights_file import is_weights_file

__all__ = [
    "Loaded",
    "Official",
    "export",
    "is_weights_file",
    "load",
    "load_official",
    "read_card",
]
