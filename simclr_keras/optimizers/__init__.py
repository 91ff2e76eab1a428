from simclr_keras.optimizers.adamw import AdamW
from simclr_keras.optimizers.create import OPTIMIZERS
from simclr_keras.optimizers.create import create_optimizer
from simclr_keras.optimizers.create import decay_in_loss
from simclr_keras.optimizers.create import split_weight_decay
from simclr_keras.optimizers.lars import LARS
from simclr_keras.optimizers.schedules import SCALINGS
from simclr_keras.optimizers.schedules import CutWarmup
from simclr_keras.optimizers.schedules import WarmupCosine
from simclr_keras.optimizers.schedules import scale_learning_rate
from simclr_keras.optimizers.schedules import total_steps
from simclr_keras.optimizers.schedules import warmup_steps
from simclr_keras.optimizers.weight_decay import l2_penalty
from simclr_keras.optimizers.weight_decay import penalised_variables

__all__ = [
    "OPTIMIZERS",
    "SCALINGS",
    "AdamW",
    "LARS",
    "CutWarmup",
    "WarmupCosine",
    "create_optimizer",
    "decay_in_loss",
    "l2_penalty",
    "penalised_variables",
    "scale_learning_rate",
    "split_weight_decay",
    "total_steps",
    "warmup_steps",
]
