"""Draws the two random views of an image: SimCLR's data augmentation."""

from simclr_keras.images.center_crop import CenterCrop
from simclr_keras.images.center_crop import central_crop
from simclr_keras.images.cropping import crop_and_resize
from simclr_keras.images.cropping import crop_and_resize_one
from simclr_keras.images.random_crops import sample_crops
from simclr_keras.views.two_views import TwoViews
from simclr_keras.views.view import View

__all__ = [
    "CenterCrop",
    "TwoViews",
    "View",
    "central_crop",
    "crop_and_resize",
    "crop_and_resize_one",
    "sample_crops",
]
