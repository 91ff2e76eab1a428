"""Defines the networks: encoders, projection heads and their layers."""

from simclr_keras.networks.adapter import TokenPooling
from simclr_keras.networks.adapter import as_encoder
from simclr_keras.networks.adapter import check_encoder
from simclr_keras.networks.encoder import StagedEncoder
from simclr_keras.networks.encoder import image_channels
from simclr_keras.networks.input_channels import with_input_channels
from simclr_keras.networks.normalization import BatchNormalization
from simclr_keras.networks.projection_head import ProjectionHead
from simclr_keras.networks.resnet import ResNet
from simclr_keras.networks.tiny_resnet import TinyResNet

__all__ = [
    "BatchNormalization",
    "ProjectionHead",
    "ResNet",
    "StagedEncoder",
    "TinyResNet",
    "TokenPooling",
    "as_encoder",
    "check_encoder",
    "image_channels",
    "with_input_channels",
]
