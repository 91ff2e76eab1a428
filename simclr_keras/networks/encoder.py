"""Defines the base class of our encoders: stages, inner outputs, freezing."""

from __future__ import annotations

import re
from typing import Any

import keras
import tensorflow as tf

from simclr_keras.images import channels as channel_counts
from simclr_keras.networks.blocks import BlockSettings

_BLOCK_NAME = re.compile(r"block_group(\d+)(?:_block(\d+)_(shortcut)?)?")


def image_input(policy: str, channels: int | None) -> keras.KerasTensor:
    """Symbolic images `[B, H, W, C]`, in the variable dtype of a policy.

    Args:
        policy: name of a dtype policy.
        channels: C, the `input_channels` of an encoder; None: 3.

    Raises:
        ValueError: `channels` is not a whole number of at least 1.
    """
    channels = channel_counts.check(channels, "input_channels")
    channels = channels or channel_counts.RGB
    dtype = keras.mixed_precision.Policy(policy).variable_dtype
    return keras.Input((None, None, channels), dtype=dtype, name="images")


def image_shape(model: Any) -> tuple[int | None, ...] | None:
    """Shape `(B, H, W, C)` of the images that a model takes, if it says it.

    It is the model's `input_shape`; for a subclass of `keras.Model`, which has
    none, the shape of the images on which it was built.
    """
    shape = getattr(model, "input_shape", None)
    if shape is None and isinstance(model, keras.Model):
        shape = (model.get_build_config() or {}).get("input_shape")
    return shape if isinstance(shape, tuple) and len(shape) == 4 else None


def image_channels(
    model: Any, default: int | None = channel_counts.RGB
) -> int | None:
    """Number of channels of the images that a model takes.

    Args:
        model: `keras.Model` of images `[B, H, W, C]`, or any function of them.
        default: what is returned if the model does not say it: a subclass that
            is not built, or a function. Defaults to 3.

    Returns:
        C of `image_shape`.
    """
    shape = image_shape(model)
    return (shape and shape[-1]) or default


class StagedEncoder(keras.Model):
    """Image encoder whose layers belong to numbered stages.

    A functional model from images `[B, H, W, C]` to features `h [B, C]`. Stage
    0 is the stem; stage s >= 1 consists of the layers whose names begin with
    `block_group<s>`; the last of them has exactly this name.

    Args:
        inputs: Symbolic images, a `keras.Input`.
        outputs: Symbolic features.
        settings: `blocks.BlockSettings` of the layers.
        name: Name of the model, or None.
    """

    def __init__(
        self,
        inputs: keras.KerasTensor,
        outputs: keras.KerasTensor,
        settings: BlockSettings,
        name: str | None = None,
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self._policy_name = settings.policy
        self.global_bn = settings.global_bn

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None
    ) -> tf.Tensor:
        """Computes features; refuses integer images, which exceed [0, 1]."""
        dtype = getattr(inputs, "dtype", None)
        dtype = None if dtype is None else tf.as_dtype(dtype)
        if dtype is not None and not dtype.is_floating:
            raise ValueError(
                "`inputs` must be float images in [0, 1]; divide uint8 images"
                f" by 255 first. Received: images of dtype {dtype.name}"
            )
        return super().call(inputs, training=training, mask=mask)

    @property
    def num_stages(self) -> int:
        """Number of the last stage."""
        return max(self.stage_of(layer) for layer in self.layers)

    def stage_of(self, layer: keras.layers.Layer | str) -> int:
        """Number of the stage of a layer or of a layer's name; the stem is 0.

        The final pooling, which has no weights, counts as part of the stem.
        """
        match = _BLOCK_NAME.match(getattr(layer, "name", layer))
        return int(match[1]) if match else 0

    def freeze_through(self, stage: int) -> None:
        """Freezes the stem and the stages 1 to `stage`, and unfreezes the rest.

        Frozen layers have `trainable=False`: no updates, and batch
        normalisation in inference mode. Compile the model afterwards.

        Args:
            stage: -1 freezes nothing, 0 the stem, `num_stages` everything.

        Raises:
            ValueError: There is no such stage.
        """
        if stage not in range(-1, self.num_stages + 1):
            raise ValueError(
                "`stage` must be a whole number from -1 (nothing frozen) to"
                f" {self.num_stages} (everything). Received: {stage!r}"
            )
        self.trainable = True
        for layer in self.layers:
            layer.trainable = self.stage_of(layer) > stage

    @property
    def frozen_through(self) -> int:
        """The last stage up to which all weights are frozen; -1 for none."""
        trainable = [
            self.stage_of(layer)
            for layer in self.layers
            if layer.weights and layer.trainable
        ]
        return min(trainable, default=self.num_stages + 1) - 1

    def outputs_of(self, names: str | list[str]) -> keras.Model:
        """Makes a model of the same weights that returns inner layers' outputs.

        Args:
            names: Names of layers, such as `("initial_conv",
                "initial_max_pool", "block_group1")`.

        Returns:
            keras.Model from images to a list, one tensor per name.

        Raises:
            ValueError: A name is not that of a layer.
        """
        names = [names] if isinstance(names, str) else list(names)
        layers = {layer.name: layer for layer in self.layers}
        unknown = [name for name in names if name not in layers]
        if unknown or not names:
            raise ValueError(
                "`names` must be names of layers, such as initial_conv,"
                " initial_max_pool, block_group1, pooled_features (summary()"
                f" lists all). Received: {unknown or names}"
            )
        return keras.Model(self.input, [layers[n].output for n in names])

    def layers_in_forward_order(self) -> list[keras.layers.Layer]:
        """The layers in the order in which they are applied.

        Stem, then stage by stage, block by block; in each block the shortcut
        first.
        """

        def key(layer):
            match = _BLOCK_NAME.match(layer.name)
            if not match:
                return (0, 0, False)
            return (int(match[1]), int(match[2] or 0), match[3] is None)

        # The sort is stable, and Keras orders the layers within a path as they
        # are applied.
        return sorted(self.layers, key=key)

    def variables_in_forward_order(self) -> list[keras.Variable | tf.Variable]:
        """All variables in the order of the official checkpoints.

        Layer by layer, see `layers_in_forward_order`: kernel, bias; or gamma,
        beta, moving mean, moving variance. Unlike the order of `weights`, this
        does not depend on the version of Keras.
        """
        layers = self.layers_in_forward_order()
        return [weight for layer in layers for weight in layer.weights]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the encoder, and its last frozen stage."""
        return {
            "name": self.name,
            "dtype": self._policy_name,
            "global_bn": self.global_bn,
            "input_channels": image_channels(self),
            "frozen_through": self.frozen_through,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> StagedEncoder:
        """Makes the encoder from the dict of `get_config`, with new weights."""
        config = dict(config)
        frozen_through = config.pop("frozen_through", -1)
        encoder = cls(**config)
        encoder.freeze_through(frozen_through)
        return encoder
