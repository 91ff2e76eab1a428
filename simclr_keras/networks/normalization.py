"""Defines batch normalisation in one fused kernel, over all replicas."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.distribute import replicas


@compat.register
class BatchNormalization(keras.layers.Layer):
    """Batch normalisation over all axes but the last, in one fused kernel.

    `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`. In training
    mode mean and variance are those of the batch, the variance biased (divided
    by n), and the moving statistics follow them:
    `moving = momentum * moving + (1 - momentum) * batch`, with the same biased
    variance. In inference mode, and whenever `trainable` is False, the layer
    normalises with the moving statistics and does not update them.

    Under mixed precision weights, statistics and sums are float32, inputs and
    outputs have the compute dtype. In float64 the layer uses several
    operations, because no fused kernel supports that dtype. A batch without
    rows does not change the moving statistics.

    Under a distribution strategy the moments are those of the global batch,
    and gradients flow through them to every replica's rows; all replicas must
    have equally many rows. The forward and the backward pass need one
    collective each. With `synchronized=False` each replica normalises with the
    moments of its own rows, and the moving statistics are averaged when saved.

    Args:
        momentum: Weight of the old value in an update of the moving
            statistics, in [0, 1]. Default 0.9.
        epsilon: Added to the variance; positive. Default 1e-5.
        center: Whether there is an offset `beta`. Default True.
        scale: Whether there is a scale `gamma`. Default True.
        gamma_initializer: Initialiser of `gamma`; with "zeros", a residual
            block that ends with this layer is the identity at first. Default
            "ones".
        synchronized: Whether moments are those of all replicas. Default True.
        **kwargs: `name`, `dtype`, `trainable` of a Keras layer.

    Call:
        x: Floating tensor of rank 2 or more, channels last, `[..., C]`.
        training: True for training mode. Default: Keras's current mode.

    Returns:
        Tensor of the shape of `x`, in the compute dtype.

    Raises:
        ValueError: An argument is out of its range, or the number of channels
            of the input is unknown.

    Example:
        >>> layer = BatchNormalization()
        >>> layer(tf.constant([[0.0], [2.0]]), training=True).numpy().round(2)
        array([[-1.],
               [ 1.]], dtype=float32)

    References:
        Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 1. Over replicas:
        Chen et al. 2020, arXiv 2002.05709, section 2.2.
    """

    def __init__(
        self,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        gamma_initializer: str | keras.initializers.Initializer = "ones",
        synchronized: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(
                f"`momentum` must lie in [0, 1]. Received: {momentum}"
            )
        if not epsilon > 0.0:
            raise ValueError(f"`epsilon` must be positive. Received: {epsilon}")
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self.synchronized = bool(synchronized)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.gamma = None
        self.beta = None

    def build(self, input_shape: tuple) -> None:
        """Creates the weights, each of shape `[C]`."""
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                "BatchNormalization needs an input of rank 2 or more with a"
                f" known last dimension. Received: shape {tuple(input_shape)}"
            )

        def weight(name, initializer, kind="trained"):
            return compat.add_uncast_weight(
                self, name, (input_shape[-1],), initializer, kind
            )

        if self.scale:
            self.gamma = weight("gamma", self.gamma_initializer)
        if self.center:
            self.beta = weight("beta", "zeros")
        # If synchronized, all replicas compute the same statistics.
        kind = "copied" if self.synchronized else "averaged"
        self.moving_mean = weight("moving_mean", "zeros", kind)
        self.moving_variance = weight("moving_variance", "ones", kind)
        self.built = True

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalises `x`; in training mode updates the moving statistics."""
        dtype = tf.float64 if x.dtype == "float64" else tf.float32
        fused = dtype == tf.float32
        normalize = _normalize_fused if fused else _normalize
        ones = tf.ones(x.shape[-1:], dtype)
        gamma = tf.cast(self.gamma, dtype) if self.scale else ones
        beta = tf.cast(self.beta, dtype) if self.center else 0.0 * ones
        if training and self.trainable:
            if self.synchronized and replicas.replica_context().count > 1:
                normalize = _synchronized_fused if fused else _synchronized
            y, mean, variance = normalize(x, gamma, beta, self.epsilon)
            rows = tf.reduce_prod(tf.shape(x)[:-1])
            self._update_moving(self.moving_mean, mean, rows)
            self._update_moving(self.moving_variance, variance, rows)
            return y
        moving = (
            tf.cast(self.moving_mean, dtype),
            tf.cast(self.moving_variance, dtype),
        )
        return normalize(x, gamma, beta, self.epsilon, moving)[0]

    def _update_moving(self, moving, batch, rows):
        # multiply_no_nan, because the moments of a batch without rows are NaN.
        rate = (1.0 - self.momentum) * tf.cast(rows > 0, batch.dtype)
        old = tf.cast(moving, batch.dtype)
        new = old + tf.math.multiply_no_nan(batch - old, rate)
        moving.assign(tf.cast(new, self.variable_dtype))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the layer."""
        initializer = keras.initializers.serialize(self.gamma_initializer)
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "gamma_initializer": initializer,
            "synchronized": self.synchronized,
        }


def _moments(x):
    """Mean and biased variance over all axes but the last, in two passes."""
    return tf.nn.moments(x, list(range(x.shape.rank - 1)))


def _normalize(x, gamma, beta, epsilon, moments=None):
    """Normalises `x`; also returns the mean and variance that it used.

    These are `moments`, or if that is None, the moments of the batch.
    """
    mean, variance = _moments(x) if moments is None else moments
    # The mean is subtracted first, to avoid cancellation if it is large.
    y = (x - mean) * (tf.math.rsqrt(variance + epsilon) * gamma) + beta
    return y, mean, variance


def _normalize_fused(x, gamma, beta, epsilon, moments=None):
    """`_normalize` in one kernel, for float32, bfloat16 and float16."""
    mean, variance = ([], []) if moments is None else moments
    result = tf.raw_ops.FusedBatchNormV3(
        x=_as_images(x),
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=moments is None,
    )
    y = result.y if x.shape.rank == 4 else tf.reshape(result.y, tf.shape(x))
    y.set_shape(x.shape)
    if moments is not None:
        return y, mean, variance
    # The kernel returns the variance divided by n - 1.
    count = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), tf.float32)
    biased = tf.math.multiply_no_nan(
        result.batch_variance, (count - 1.0) / tf.maximum(count, 1.0)
    )
    return y, result.batch_mean, biased


def _global_moments(mean, variance):
    """Moments of all replicas' rows from the moments of each replica.

    The variance is the mean of the replicas' variances plus the variance of
    their means. Unlike E[x^2] - E[x]^2 this does not cancel.
    """
    parts = replicas.gather(tf.stack([mean, variance])[tf.newaxis])
    means, variances = parts[:, 0], parts[:, 1]  # [R, C] each
    mean = tf.reduce_mean(means, axis=0)
    between = tf.reduce_mean(tf.math.squared_difference(means, mean), axis=0)
    return mean, tf.reduce_mean(variances, axis=0) + between


def _synchronized(x, gamma, beta, epsilon):
    """`_normalize` with the moments of all replicas' rows."""
    return _normalize(x, gamma, beta, epsilon, _global_moments(*_moments(x)))


def _synchronized_fused(x, gamma, beta, epsilon):
    """`_synchronized` with fused kernels, which see one replica's rows only.

    Let dy be the gradient of the output, n the number of rows of all replicas
    and u = (x - mean) / sqrt(variance + epsilon). The gradient of the input is

        gamma / sqrt(variance + epsilon) (dy - sum(dy) / n - u sum(dy u) / n)

    with sums over all replicas. The gradient kernel for frozen moments returns
    the first term and this replica's part of both sums; the other two terms
    have the form of a normalisation.
    """

    @tf.custom_gradient
    def forward(x, gamma, beta):
        ones = tf.ones_like(gamma)
        local_moments = _normalize_fused(x, ones, 0.0 * ones, epsilon)[1:]
        moments = _global_moments(*local_moments)
        y = _normalize_fused(x, gamma, beta, epsilon, moments)[0]

        def backward(dy, *_):
            kernel = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=_as_images(dy),
                x=_as_images(x),
                scale=gamma,
                reserve_space_1=moments[0],
                reserve_space_2=moments[1],
                reserve_space_3=[],
                epsilon=epsilon,
                is_training=False,
            )
            own = [kernel.scale_backprop, kernel.offset_backprop]
            rows = (
                tf.reduce_prod(tf.shape(x)[:-1])
                * replicas.replica_context().count
            )
            means = replicas.all_reduce(tf.stack(own))
            means /= tf.cast(rows, tf.float32)
            rate = -gamma * tf.math.rsqrt(moments[1] + epsilon)
            rest = _normalize_fused(
                x, rate * means[0], rate * means[1], epsilon, moments
            )[0]
            dx = tf.reshape(kernel.x_backprop, tf.shape(x)) + rest
            return dx, own[0], own[1]

        return (y, *moments), backward

    return forward(x, gamma, beta)


def _as_images(x):
    """Reshapes rows to images of one pixel, as the kernel takes images only."""
    if x.shape.rank == 4:
        return x
    return tf.reshape(x, [-1, 1, 1, x.shape[-1]])
