"""Hides the differences between Keras 2.15 and Keras 3 from the package.

Each function bridges one difference, or a defect of TensorFlow, and gives the
reason. `versions` says what is installed; `variables`, `training` and
`optimizers` group the functions.
"""

import keras

from simclr_keras.compat.optimizers import DecayMatricesOnly
from simclr_keras.compat.optimizers import Optimizer
from simclr_keras.compat.optimizers import apply_scaled
from simclr_keras.compat.optimizers import batches_seen
from simclr_keras.compat.optimizers import build_optimizer
from simclr_keras.compat.optimizers import lamb_bases
from simclr_keras.compat.optimizers import learning_rate
from simclr_keras.compat.optimizers import minimize
from simclr_keras.compat.optimizers import optimizer_variables
from simclr_keras.compat.optimizers import scale_loss
from simclr_keras.compat.optimizers import settable_learning_rate
from simclr_keras.compat.training import BuildsItself
from simclr_keras.compat.training import build_metrics
from simclr_keras.compat.training import distributed
from simclr_keras.compat.training import end_epoch
from simclr_keras.compat.training import prefetches_across_steps
from simclr_keras.compat.training import set_resume_point
from simclr_keras.compat.training import steps_per_execution
from simclr_keras.compat.training import untuned
from simclr_keras.compat.training import with_cardinality
from simclr_keras.compat.variables import ReplicatedMean
from simclr_keras.compat.variables import add_uncast_weight
from simclr_keras.compat.variables import as_numpy
from simclr_keras.compat.variables import dtype_policy_name
from simclr_keras.compat.variables import flatten_layers
from simclr_keras.compat.variables import mutable_state
from simclr_keras.compat.variables import refresh_statistics
from simclr_keras.compat.variables import tensorflow_variable
from simclr_keras.compat.variables import tensorflow_weights
from simclr_keras.compat.variables import unrepeatable_layers
from simclr_keras.compat.variables import variable_path
from simclr_keras.compat.variables import weights_of
from simclr_keras.compat.versions import DECODES_WEBP
from simclr_keras.compat.versions import IMPORTS_SAVED_CLASSES
from simclr_keras.compat.versions import KERAS_3
from simclr_keras.compat.versions import LOGS_FIRST_COMPILATION
from simclr_keras.compat.versions import MARKS_PROFILED_STEPS
from simclr_keras.compat.versions import ONE_ITERATION_FOR_ALL_EPOCHS
from simclr_keras.compat.versions import REDUCES_LOGS_OVER_AN_AXIS
from simclr_keras.compat.versions import STACK

# Registers a class under the name `simclr_keras>Name` in saved files.
register = keras.saving.register_keras_serializable(package="simclr_keras")

__all__ = [
    "DECODES_WEBP",
    "IMPORTS_SAVED_CLASSES",
    "KERAS_3",
    "LOGS_FIRST_COMPILATION",
    "MARKS_PROFILED_STEPS",
    "ONE_ITERATION_FOR_ALL_EPOCHS",
    "REDUCES_LOGS_OVER_AN_AXIS",
    "STACK",
    "BuildsItself",
    "DecayMatricesOnly",
    "Optimizer",
    "ReplicatedMean",
    "add_uncast_weight",
    "apply_scaled",
    "as_numpy",
    "batches_seen",
    "build_metrics",
    "build_optimizer",
    "distributed",
    "dtype_policy_name",
    "end_epoch",
    "flatten_layers",
    "lamb_bases",
    "learning_rate",
    "minimize",
    "mutable_state",
    "optimizer_variables",
    "prefetches_across_steps",
    "refresh_statistics",
    "register",
    "scale_loss",
    "set_resume_point",
    "settable_learning_rate",
    "steps_per_execution",
    "tensorflow_variable",
    "tensorflow_weights",
    "unrepeatable_layers",
    "untuned",
    "variable_path",
    "weights_of",
    "with_cardinality",
]
