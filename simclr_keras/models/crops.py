"""Crops photographs as the views of a model state."""

from __future__ import annotations

from typing import Any

import keras

from simclr_keras import data
from simclr_keras.data.host_crops import ViewCrops


def stated_crops(views: Any) -> ViewCrops:
    """Crops that a model's views state, for the first and the second view.

    Args:
        views: `TwoViews`, `View`, another layer or None.

    Returns:
        Pair of `random_crops.Crops`; None for a view that states none.
    """
    pair = [getattr(views, name, views) for name in ("first", "second")]
    return tuple(getattr(view, "crops", None) for view in pair)


def with_crops(model: keras.Model, dataset: Any) -> Any:
    """The data set, photographs cropped as the views of the model state.

    Args:
        model: a `Classifier` takes one crop of each, a `SimCLR` two.
        dataset: `data.Batches`; anything else is returned as it is.
    """
    if model.takes_one_crop and isinstance(dataset, data.Batches):
        dataset = dataset.with_one_crop()
    return data.with_crops(dataset, stated_crops(model.views))


def check_two_crops(dataset: Any) -> None:
    """Refuses photographs of which the host cuts one crop, not two.

    Both views would be crops of that crop.

    Raises:
        ValueError: the data set cuts one crop of each photograph.
    """
    cut = getattr(dataset, "host_crops", None)
    if cut is not None and cut.views == 1:
        raise ValueError(
            "photographs must be loaded with views=2 to be contrasted: both"
            " views would be cut from one crop else. Received: a data set of"
            " views=1"
        )
