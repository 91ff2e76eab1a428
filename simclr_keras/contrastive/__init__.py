"""Computes contrastive losses and their metrics."""

from simclr_keras.contrastive.by_name import LOSSES
from simclr_keras.contrastive.by_name import make_loss
from simclr_keras.contrastive.contrastive_loss import ContrastiveLoss
from simclr_keras.contrastive.contrastive_loss import takes_labels
from simclr_keras.contrastive.health import representation_health
from simclr_keras.contrastive.margin_triplet import MarginTriplet
from simclr_keras.contrastive.margin_triplet import margin_triplet
from simclr_keras.contrastive.metrics import contrastive_metrics
from simclr_keras.contrastive.nt_logistic import NTLogistic
from simclr_keras.contrastive.nt_logistic import nt_logistic
from simclr_keras.contrastive.nt_xent import NTXent
from simclr_keras.contrastive.nt_xent import nt_xent
from simclr_keras.contrastive.supervised_contrastive import (
    SupervisedContrastive,
)
from simclr_keras.contrastive.supervised_contrastive import (
    supervised_contrastive,
)

__all__ = [
    "LOSSES",
    "ContrastiveLoss",
    "MarginTriplet",
    "NTLogistic",
    "NTXent",
    "SupervisedContrastive",
    "contrastive_metrics",
    "make_loss",
    "margin_triplet",
    "nt_logistic",
    "nt_xent",
    "representation_health",
    "supervised_contrastive",
    "takes_labels",
]
