"""Data sets and the input pipeline."""

from simclr_keras.data.caching import cached
from simclr_keras.data.caching import free_memory
from simclr_keras.data.combined import from_step
from simclr_keras.data.combined import grouped
from simclr_keras.data.combined import with_probe
from simclr_keras.data.epochs import Batches
from simclr_keras.data.epochs import as_dataset
from simclr_keras.data.epochs import with_crops
from simclr_keras.data.load import load
from simclr_keras.data.load import open_source
from simclr_keras.data.pipeline import make_dataset
from simclr_keras.data.source import Source
from simclr_keras.data.source import read_labels
from simclr_keras.data.source import require_labels
from simclr_keras.data.subsets import hold_out
from simclr_keras.data.subsets import keep_some
from simclr_keras.data.subsets import label_subset

__all__ = [
    "Batches",
    "Source",
    "as_dataset",
    "cached",
    "free_memory",
    "from_step",
    "grouped",
    "hold_out",
    "keep_some",
    "label_subset",
    "load",
    "make_dataset",
    "open_source",
    "read_labels",
    "require_labels",
    "with_crops",
    "with_probe",
]
