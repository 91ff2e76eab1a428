"""Defines the layers of the residual blocks that Keras does not provide."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.networks import kernel_gradient


def precise_mean(
    x: tf.Tensor, axis: int | tuple[int, ...], keepdims: bool = False
) -> tf.Tensor:
    """Mean over axes in the dtype of `x`, summed in float32 at least.

    Some kernels sum bfloat16 in bfloat16, and lose all precision over a few
    hundred values.
    """
    precise = x if x.dtype == "float64" else tf.cast(x, tf.float32)
    return tf.cast(tf.reduce_mean(precise, axis, keepdims), x.dtype)


@compat.register
class SpatialMean(keras.layers.Layer):
    """Averages over space, `[B, H, W, C]` to `[B, C]`; see `precise_mean`.

    Args:
        keepdims: Whether the result is `[B, 1, 1, C]`. Default False.
        **kwargs: `name`, `dtype` of a Keras layer.
    """

    def __init__(self, keepdims: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.keepdims = keepdims

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the mean, in the dtype of `x`."""
        return precise_mean(x, (1, 2), self.keepdims)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `(B, C)` or `(B, 1, 1, C)`."""
        space = (1, 1) if self.keepdims else ()
        return (input_shape[0], *space, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the layer."""
        return {**super().get_config(), "keepdims": self.keepdims}


@compat.register
class SumOfHalves(keras.layers.Layer):
    """Sums the features of two kernels, `[..., 2f]` to `[..., f]`."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the first half of the channels plus the second."""
        first, second = tf.split(x, 2, axis=-1)
        return first + second

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the input's shape with half the channels."""
        return (*input_shape[:-1], input_shape[-1] // 2)


@compat.register
class SelectHalves(keras.layers.Layer):
    """Mixes the features of two kernels, weighted by a softmax over the two.

    Called with `[features, logits]` of shapes `[B, H, W, 2f]` and
    `[B, 1, 1, 2f]`; returns `[B, H, W, f]`: for each image and channel,
    `p a + (1 - p) b`, with `a` and `b` the halves of the features and `p` the
    softmax's weight of the first half.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Returns the mix, in the dtype of the features."""
        features, logits = inputs
        first, second = tf.split(features, 2, axis=-1)
        for_first, for_second = tf.split(logits, 2, axis=-1)
        # A softmax of two logits is a sigmoid of their difference.
        difference = for_first - for_second
        return first * tf.sigmoid(difference) + second * tf.sigmoid(-difference)

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Returns the shape of the features with half the channels."""
        features = input_shape[0]
        return (*features[:-1], features[-1] // 2)


@compat.register
class Conv2D(keras.layers.Conv2D):
    """Convolution with zero padding that does not depend on the image size.

    Pads `(size - 1) // 2` zeros before and the rest of `size - 1` after. With
    stride 1 this equals SAME; with a larger stride it is the padding of the
    official networks. The class has the name of its base, because weights files
    number layers by class name.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "padding": "valid"})

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the convolution, without bias and activation."""
        kernel = tf.convert_to_tensor(kernel)
        by_taps = kernel_gradient.is_faster(inputs, kernel, self.strides)
        padding = [(0, 0), *self._pad_widths(), (0, 0)]
        if self.strides != (1, 1):
            return _padded_convolution(
                inputs, kernel, self.strides, padding, by_taps
            )
        if by_taps:
            return kernel_gradient.convolution(inputs, kernel, padding)
        return tf.nn.conv2d(inputs, kernel, 1, "SAME")

    def _pad_widths(self):
        before = [(size - 1) // 2 for size in self.kernel_size]
        return [(b, s - 1 - b) for b, s in zip(before, self.kernel_size)]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `(B, ceil(H / stride), ceil(W / stride), filters)`."""
        sides = [
            side if side is None else side + before + after
            for side, (before, after) in zip(
                input_shape[1:3], self._pad_widths()
            )
        ]
        return super().compute_output_shape(
            (input_shape[0], *sides, input_shape[3])
        )


def _padded_convolution(x, kernel, strides, padding, by_taps):
    """Pads and convolves; the backward pass pads again.

    Otherwise the padded copy would stay in memory until the backward pass.
    Convolutions with explicit padding need no copy, but have no fast gradient
    on CPUs: in bfloat16 on TensorFlow 2.21 it takes fifty times as long.
    """

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradients(dy):
            # The dependency on `dy` keeps TensorFlow's graph optimiser from
            # merging this with the padding of the forward pass.
            with tf.control_dependencies([dy]):
                padded = tf.pad(x, padding)
            if by_taps:
                dy = tf.ensure_shape(dy, y.shape)
                of_kernel = kernel_gradient.by_taps(
                    padded, dy, kernel.shape[:2], strides
                )
            else:
                of_kernel = tf.raw_ops.Conv2DBackpropFilter(
                    input=padded,
                    filter_sizes=tf.shape(kernel),
                    out_backprop=dy,
                    **options,
                )
            of_padded = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(padded),
                filter=kernel,
                out_backprop=dy,
                **options,
            )
            start = [before for before, _ in padding]
            return tf.slice(of_padded, start, tf.shape(x)), of_kernel

        y = tf.nn.conv2d(tf.pad(x, padding), kernel, strides, "VALID")
        return y, gradients

    options = {"strides": [1, *strides, 1], "padding": "VALID"}
    return convolve(x, kernel)
