"""Defines the Keras models: contrastive pre-training and classification."""

from simclr_keras.models.classifier import Classifier
from simclr_keras.models.outputs import balanced_class_weights
from simclr_keras.models.simclr import SimCLR

__all__ = ["Classifier", "SimCLR", "balanced_class_weights"]
