"""Decodes, crops and resizes images, the same in training and serving."""

from simclr_keras.images.center_crop import CenterCrop
from simclr_keras.images.center_crop import central_crop
from simclr_keras.images.checks import check_max_pixels
from simclr_keras.images.decoding import MAX_PIXELS
from simclr_keras.images.decoding import decode
from simclr_keras.images.decoding import image_size
from simclr_keras.images.decoding import problem
from simclr_keras.images.decoding import stored_channels
from simclr_keras.images.formats.blending import array_to_rgb
from simclr_keras.images.formats.blending import array_to_uint8

__all__ = [
    "MAX_PIXELS",
    "CenterCrop",
    "array_to_rgb",
    "array_to_uint8",
    "central_crop",
    "check_max_pixels",
    "decode",
    "image_size",
    "problem",
    "stored_channels",
]
