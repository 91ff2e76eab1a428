"""A network -> the operations of its training step, counted on its graph.

A product and its sum are two operations. Convolutions and products of matrices
are counted, nothing else: the rest is a hundredth of it or less.
"""

import math

import tensorflow as tf


def forward(function, *specs):
    """Operations of one call of a function, and of its first layer.

    Args:
        function: of tensors.
        *specs: their `tf.TensorSpec`s, of known shapes.

    Returns:
        Pair of numbers: of all operations, and of those that read nothing
        that another has made, in which nobody needs the input's gradient.
    """
    graph = tf.function(function).get_concrete_function(*specs).graph
    counts = [_flops(op) for op in graph.get_operations()]
    counts = [count for count in counts if count]
    return sum(counts), counts[0]


def training(function, batch, image_shape, z_dim):
    """Operations of a training step on both views of a batch of images.

    Every layer forward, the gradient of its input and that of its weights:
    three times as many as forward, less the input's gradient of the first
    layer. The dense NT-Xent has the product of all views with all views,
    `[2N, d] x [d, 2N]`, and back with respect to both of its factors.

    Args:
        function: from float images `[1, H, W, 3]` to z.
        batch: images, of which each has two views.
        image_shape: (H, W, 3).
        z_dim: width of z, d.
    """
    spec = tf.TensorSpec((1, *image_shape))
    everything, first = forward(function, spec)
    views = 2 * batch
    return views * (3 * everything - first) + 3 * 2 * views**2 * z_dim


def _flops(operation):
    """Of a convolution or a product of matrices; of others none."""
    if operation.type not in ("Conv2D", "MatMul"):
        return 0
    weights = operation.inputs[1].shape
    inner = math.prod(weights[:-1])
    return 2 * inner * operation.outputs[0].shape.num_elements()
