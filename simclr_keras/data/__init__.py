"""Opens data sets, and makes their batches."""

from simclr_keras.data.caching import cached
from simclr_keras.data.caching import free_memory
from simclr_keras.data.combined import as_dataset
from simclr_keras.data.combined import epochs_per_fit_epoch
from simclr_keras.data.combined import epochs_to_fit_epochs
from simclr_keras.data.combined import from_step
from simclr_keras.data.combined import group_short_epochs
from simclr_keras.data.combined import grouped
from simclr_keras.data.combined import with_crops
from simclr_keras.data.combined import with_probe
from simclr_keras.data.data_service import check_address
from simclr_keras.data.default_size import default_size
from simclr_keras.data.epochs import Batches
from simclr_keras.data.evaluation_images import evaluation_images
from simclr_keras.data.evaluation_images import read_images
from simclr_keras.data.fingerprint import fingerprint
from simclr_keras.data.load import load
from simclr_keras.data.load import open_source
from simclr_keras.data.overlap import num_shared
from simclr_keras.data.overlap import warn_of_overlap
from simclr_keras.data.pipeline import make_dataset
from simclr_keras.data.sources.label_table import LabelTable
from simclr_keras.data.sources.label_values import label_texts
from simclr_keras.data.sources.source import Source
from simclr_keras.data.sources.source import read_labels
from simclr_keras.data.sources.source import require_labels
from simclr_keras.data.subsets import hold_out
from simclr_keras.data.subsets import keep_some
from simclr_keras.data.subsets import label_subset

__all__ = [
    "Batches",
    "LabelTable",
    "Source",
    "as_dataset",
    "cached",
    "check_address",
    "default_size",
    "epochs_per_fit_epoch",
    "epochs_to_fit_epochs",
    "evaluation_images",
    "fingerprint",
    "free_memory",
    "from_step",
    "group_short_epochs",
    "grouped",
    "hold_out",
    "keep_some",
    "label_subset",
    "label_texts",
    "load",
    "make_dataset",
    "num_shared",
    "open_source",
    "read_images",
    "read_labels",
    "require_labels",
    "warn_of_overlap",
    "with_crops",
    "with_probe",
]
