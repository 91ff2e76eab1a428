"""Defines the projection head g, which maps h to z for the loss."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import scalars
from simclr_keras.choices import PROJECTION_HEADS as _MODES
from simclr_keras.networks.normalization import BatchNormalization


@compat.register
class ProjectionHead(keras.layers.Layer):
    """Projection head, which maps h to z.

    Each layer of the head is a dense layer without bias, followed by batch
    normalisation. All layers except the last end with a ReLU; the last
    normalisation has no offset.
    Fine-tuning can start from any entry of the list
    `hs = [h, output of layer 0, ..., z]`.

    Args:
        mode: "none" (z is h), "linear" (one layer) or "nonlinear". Default
            "nonlinear".
        num_layers: Number of layers of the nonlinear head, at least 1. Default
            3, as in SimCLRv2; SimCLR has 2.
        out_dim: Dimension of z, at least 1; ignored by "none". Default 128.
        width: Dimension of the hidden layers. Default None: that of h.
        global_bn: Whether batch norm spans all replicas. Default True.
        **kwargs: `name`, `dtype`, `trainable` of a Keras layer.

    Call:
        h: Float tensor `[B, D]`.
        training: True for training mode. Default: Keras's current mode.

    Returns:
        z: `[B, out_dim]`, in the compute dtype.

    Raises:
        ValueError: An argument is not allowed, or `h` is not `[B, D]`.

    Example:
        >>> head = ProjectionHead("nonlinear", num_layers=2, out_dim=64)
        >>> head(tf.zeros([8, 512])).shape
        TensorShape([8, 64])

    References:
        Chen et al. 2020, arXiv 2002.05709, sections 2.1 and 4.2;
        arXiv 2006.10029, section 2 (deeper heads, starting in the middle).
    """

    def __init__(
        self,
        mode: str = "nonlinear",
        num_layers: int = 3,
        out_dim: int = 128,
        width: int | None = None,
        global_bn: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if mode not in _MODES:
            raise ValueError(
                f"`mode` must be one of {', '.join(_MODES)}. Received: {mode!r}"
            )
        self.mode = mode
        self.num_layers = _count("num_layers", num_layers)
        self.out_dim = _count("out_dim", out_dim)
        self.width = None if width is None else _count("width", width)
        self.global_bn = bool(global_bn)
        self.dense_layers = []
        self.norm_layers = []

    @property
    def depth(self) -> int:
        """Number of layers: 0 for "none", 1 for "linear"."""
        return {"none": 0, "linear": 1}.get(self.mode, self.num_layers)

    def build(self, input_shape: tuple) -> None:
        """Creates the layers for features of shape `[B, D]`."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                "`h` must have the shape [B, D] with a known D. Received:"
                f" shape {tuple(input_shape)}"
            )
        policy = compat.dtype_policy_name(self.dtype_policy)
        dim = input_shape[-1]
        for index in range(self.depth):
            last = index == self.depth - 1
            units = self.out_dim if last else self.width or input_shape[-1]
            dense = keras.layers.Dense(
                units,
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                name=f"dense_{index}",
                dtype=policy,
            )
            norm = BatchNormalization(
                center=not last,
                synchronized=self.global_bn,
                name=f"norm_{index}",
                dtype=policy,
            )
            for layer, size in ((dense, dim), (norm, units)):
                with tf.name_scope(layer.name):
                    layer.build((None, size))
            self.dense_layers.append(dense)
            self.norm_layers.append(norm)
            dim = units
        self.built = True

    def call(self, h: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps the features h to their projection z."""
        return self.layer_output(h, -1, training=training)

    def layer_outputs(
        self, h: tf.Tensor, training: bool | None = None
    ) -> list[tf.Tensor]:
        """Computes the list hs: h, then the output of each layer; z is last.

        Args:
            h: Float tensor `[B, D]`.
            training: True for training mode. Default: Keras's current mode.

        Returns:
            List of `depth + 1` tensors of rank 2.
        """
        return self._run(h, self.depth, training)

    def layer_output(
        self, h: tf.Tensor, selector: int, training: bool | None = None
    ) -> tf.Tensor:
        """Computes one entry of hs; later layers do not run.

        Args:
            h: Float tensor `[B, D]`.
            selector: Index into hs: 0 is h, -1 is z.
            training: True for training mode. Default: Keras's current mode.

        Returns:
            Tensor of rank 2.

        Raises:
            ValueError: hs has no such entry.
        """
        return self._run(h, self.layer_index(selector), training)[-1]

    def layer_index(self, selector: int) -> int:
        """Converts an index into hs to one that counts from h, which is 0.

        Args:
            selector: Index into hs, possibly negative.

        Returns:
            Integer from 0 (h) to `depth` (z).

        Raises:
            ValueError: hs has no such entry.
        """
        if selector not in range(-self.depth - 1, self.depth + 1):
            raise ValueError(
                f"a projection head of {self.depth} layers has the outputs"
                f" {-self.depth - 1} to {self.depth} (0 is h, -1 is z)."
                f" Received: selector {selector!r}"
            )
        return selector % (self.depth + 1)

    def _run(self, h, depth, training):
        if not self.built:
            self.build(h.shape)
        hs = [h]
        for index in range(depth):
            x = self.dense_layers[index](hs[-1])
            x = self.norm_layers[index](x, training=training)
            hs.append(tf.nn.relu(x) if index < self.depth - 1 else x)
        return hs

    def variables_in_forward_order(self) -> list[keras.Variable | tf.Variable]:
        """All variables layer by layer: kernel, then those of the norm."""
        return [
            weight
            for pair in zip(self.dense_layers, self.norm_layers)
            for layer in pair
            for weight in layer.weights
        ]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `(B, out_dim)`, or the shape of h with mode "none"."""
        if not self.depth:
            return input_shape
        return (input_shape[0], self.out_dim)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the head."""
        return {
            **super().get_config(),
            "mode": self.mode,
            "num_layers": self.num_layers,
            "out_dim": self.out_dim,
            "width": self.width,
            "global_bn": self.global_bn,
        }


def _count(name, value):
    if not scalars.is_whole(value) or value < 1:
        raise ValueError(
            f"`{name}` must be a whole number, at least 1. Received: {value!r}"
        )
    return int(value)
