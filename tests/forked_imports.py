"""What the server of `forked` imports once; nothing here uses TensorFlow."""

import importlib
import os
import pkgutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: F401
import tensorflow as tf

import simclr_keras
from simclr_keras import commands

for _name in simclr_keras.__all__:
    getattr(simclr_keras, _name)
for _module in pkgutil.iter_modules(commands.__path__):
    importlib.import_module(f"{commands.__name__}.{_module.name}")

# Compiling the views takes seconds of every process and is tested elsewhere.
tf.test.is_built_with_xla = lambda: False
