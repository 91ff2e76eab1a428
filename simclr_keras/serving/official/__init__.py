"""Imports checkpoints of the official SimCLR."""

from simclr_keras.serving.official.importer import Official
from simclr_keras.serving.official.importer import load_official

__all__ = ["Official", "load_official"]
