"""Reconciles the crops that a data set and a model's views ask for."""

from __future__ import annotations

import dataclasses
from typing import Optional

from simclr_keras.images import random_crops

# Crops of the first and of the second view; None for a view that states none.
ViewCrops = tuple[Optional[random_crops.Crops], Optional[random_crops.Crops]]
NO_CROPS: ViewCrops = (None, None)


@dataclasses.dataclass(frozen=True)
class HostCrops:
    """Random crops that a data set cuts on the host.

    Attributes:
        stated: dict of the crop arguments that `make_dataset` was called with:
            `crop_area`, `crop_aspect`, `crop_sampler`, `antialias`.
        views: crops of each image: 1, or 2 for ready views `[B, 2, h, w, 3]`.
    """

    stated: dict
    views: int

    def resolve(self, crops: ViewCrops) -> tuple[random_crops.Crops, ...]:
        """`random_crops.Crops` of each view, a tuple.

        Args:
            crops: pair of `random_crops.Crops` that a model's views state, None
                for a view that states none.

        Raises:
            ValueError: views and data set state different crops.
        """
        values = {k.replace("crop_", ""): v for k, v in self.stated.items()}
        default = random_crops.Crops(**values)
        resolved = [each or default for each in crops[: self.views]]
        for each in resolved:
            _check_agreement(self.stated, each)
        return tuple(resolved)


def _check_agreement(stated, crops):
    """Refuses crops that differ from what was stated for the data set."""
    for name, value in stated.items():
        other = getattr(crops, name.replace("crop_", ""))
        value = tuple(value) if isinstance(value, (list, tuple)) else value
        if value != other:
            raise ValueError(
                f"`{name}` must be stated once, by the views of the model;"
                " leave it out of the data set, or state the same. Received:"
                f" {name}={value!r} of the data set, {name}={other!r} of the"
                " views"
            )
