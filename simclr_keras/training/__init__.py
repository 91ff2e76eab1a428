"""Manages what surrounds `fit`: run directories, locks, checkpoints, logs."""

from simclr_keras.distribute.strategy import choose as choose_strategy
from simclr_keras.training.callbacks import callbacks
from simclr_keras.training.claim import claimed_run
from simclr_keras.training.model_loading import load_model
from simclr_keras.training.model_loading import register_classes
from simclr_keras.training.run_directory import RunDirectory
from simclr_keras.training.runs import find_run
from simclr_keras.training.safe_config import deserialize
from simclr_keras.training.text_files import write_whole

__all__ = [
    "RunDirectory",
    "callbacks",
    "choose_strategy",
    "claimed_run",
    "deserialize",
    "find_run",
    "load_model",
    "register_classes",
    "write_whole",
]
