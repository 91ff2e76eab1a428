"""Computes the gradient of a convolution's kernel as one product per tap.

In bfloat16 on CPUs with AMX, oneDNN computes the gradient of the kernel at a
fraction of the rate of matrix products. On small maps it is faster to multiply,
for each tap of the kernel, the matrix of the inputs at this tap by the matrix
of the output's gradient. On two cores of such a Xeon, the gradient of a 3x3
kernel took, by oneDNN and by products: 196 and 34 ms for 512 maps of 4x4x512,
70 and 46 for 8x8x256, 21 and 9 for 32 maps of 7x7x512; but 16 and 39 for
16x16x128. These are times of the operations alone. Kernels of 1x1 and CPUs
without AMX were not measured.
"""

from __future__ import annotations

import tensorflow as tf

from simclr_keras import processor

# Largest side of the output, in pixels, for which products are faster.
_LARGEST_MAP = 8


def runs_on_amx() -> bool:
    """Whether TensorFlow computes on CPUs alone, with AMX for bfloat16."""
    if "amx_bf16" not in processor.features():
        return False
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    return kinds == {"CPU"}


def is_faster(
    inputs: tf.Tensor, kernel: tf.Tensor, strides: tuple[int, int]
) -> bool:
    """Whether `by_taps` is the faster way for a convolution, by its shapes.

    Args:
        inputs: images or features `[B, H, W, C]`.
        kernel: `[height, width, C, filters]`, in the dtype of the inputs.
        strides: steps of the kernel in pixels.
    """
    if inputs.dtype != tf.bfloat16 or not runs_on_amx():
        return False
    height, width, channels, _ = kernel.shape
    if height * width == 1 or channels != inputs.shape[-1]:
        return False  # the second: a convolution of groups
    sides = [
        side and -(-side // step)
        for side, step in zip(inputs.shape[1:3], strides)
    ]
    return all(side and side <= _LARGEST_MAP for side in sides)


def convolution(
    x: tf.Tensor, kernel: tf.Tensor, padding: list[tuple[int, int]]
) -> tf.Tensor:
    """Convolution with stride 1 whose kernel has the gradient `by_taps`.

    Args:
        x: images or features `[B, H, W, C]`, with static height and width.
        kernel: `[height, width, C, filters]`.
        padding: pairs of widths for the four axes, those of SAME.

    Returns:
        Tensor `[B, H, W, filters]`.
    """

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradients(dy):
            of_x = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=dy,
                strides=[1, 1, 1, 1],
                padding="SAME",
            )
            # Without this dependency, the copies of `x` could be made in the
            # forward pass, and stay in memory.
            with tf.control_dependencies([dy]):
                padded = tf.pad(x, padding)
            dy = tf.ensure_shape(dy, y.shape)
            return of_x, by_taps(padded, dy, kernel.shape[:2], (1, 1))

        y = tf.nn.conv2d(x, kernel, 1, "SAME")
        return y, gradients

    return convolve(x, kernel)


def by_taps(
    padded: tf.Tensor,
    dy: tf.Tensor,
    size: tuple[int, int],
    strides: tuple[int, int],
) -> tf.Tensor:
    """Gradient of the kernel of a convolution without padding.

    Args:
        padded: inputs of the convolution `[B, H, W, C]`, already padded.
        dy: gradient of its output, `[B, height, width, filters]`, with static
            height and width, in the dtype of `padded`.
        size: height and width of the kernel.
        strides: steps of the kernel in pixels.

    Returns:
        Tensor `[*size, C, filters]` in the dtype of `dy`. Products of bfloat16
        are summed in float32 by oneDNN, and rounded once.
    """
    height, width, filters = dy.shape[1:]
    channels = padded.shape[-1]
    gradients = tf.reshape(dy, [-1, filters])
    products = []
    for top in range(size[0]):
        for left in range(size[1]):
            rows = slice(top, top + strides[0] * (height - 1) + 1, strides[0])
            columns = slice(
                left, left + strides[1] * (width - 1) + 1, strides[1]
            )
            tap = tf.reshape(padded[:, rows, columns], [-1, channels])
            products.append(tf.matmul(tap, gradients, transpose_a=True))
    return tf.reshape(tf.stack(products), [*size, channels, filters])
