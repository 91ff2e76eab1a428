"""Residual blocks, selective kernels, squeeze-excite: what ResNets consist of.

Functions that take and return symbolic tensors of a functional model; each
layer has a name that begins with that of its block.
"""

import dataclasses

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.networks.normalization import BatchNormalization


@dataclasses.dataclass(frozen=True)
class BlockSettings:
    """What is the same for all blocks of a network.

    Attributes:
        policy: Name of the dtype policy of all layers.
        sk_ratio: Width of the bottleneck in selective kernels, as a share of
            the block's filters; 0: no selective kernels.
        se_ratio: The same for squeeze-excite; 0: none.
        last_gamma: Initial scale of the last normalisation of a block: zeros,
            so that blocks are identities at first, or ones.
        global_bn: Whether batch norm spans all replicas.
    """

    policy: str
    sk_ratio: float = 0.0
    se_ratio: float = 0.0
    last_gamma: str = "zeros"
    global_bn: bool = True


@compat.register
class SpatialMean(keras.layers.Layer):
    """Mean over space, `[B, H, W, C]` to `[B, C]`, summed in float32.

    bfloat16 sums of a few hundred pixels lose all digits on some kernels, so
    this does not leave the precision to them.

    Args:
        keepdims: Whether the result is `[B, 1, 1, C]`. Default False.
        **kwargs: `name`, `dtype` of a Keras layer.
    """

    def __init__(self, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.keepdims = keepdims

    def call(self, x):
        """The mean, in the dtype of `x`."""
        wide = x if x.dtype == "float64" else tf.cast(x, tf.float32)
        mean = tf.reduce_mean(wide, axis=(1, 2), keepdims=self.keepdims)
        return tf.cast(mean, x.dtype)

    def compute_output_shape(self, input_shape):
        """`[B, C]` or `[B, 1, 1, C]`."""
        between = (1, 1) if self.keepdims else ()
        return (input_shape[0], *between, input_shape[-1])

    def get_config(self):
        """Arguments that make the same layer."""
        return {**super().get_config(), "keepdims": self.keepdims}


@compat.register
class SumOfHalves(keras.layers.Layer):
    """Sum of the two kernels' features, `[..., 2f]` to `[..., f]`."""

    def call(self, x):
        """The first half of the channels plus the second."""
        first, second = tf.split(x, 2, axis=-1)
        return first + second

    def compute_output_shape(self, input_shape):
        """Half the channels."""
        return (*input_shape[:-1], input_shape[-1] // 2)


@compat.register
class SelectHalves(keras.layers.Layer):
    """Mix of the two kernels' features, weighted by a softmax over the two.

    Called with `[features, logits]`, shapes `[B, H, W, 2f]` and
    `[B, 1, 1, 2f]`; returns `[B, H, W, f]`: per image and channel,
    `p a + (1 - p) b` with `p` the softmax's share of the first half.
    """

    def call(self, inputs):
        """The mix, in the dtype of the features."""
        features, logits = inputs
        first, second = tf.split(features, 2, axis=-1)
        for_first, for_second = tf.split(logits, 2, axis=-1)
        # A softmax of two is a sigmoid of their difference.
        difference = for_first - for_second
        return first * tf.sigmoid(difference) + second * tf.sigmoid(-difference)

    def compute_output_shape(self, input_shape):
        """Shape of the features, with half the channels."""
        features = input_shape[0]
        return (*features[:-1], features[-1] // 2)


@compat.register
class Conv2D(keras.layers.Conv2D):
    """Convolution with zeros around the image, the same at every image size.

    `(size - 1) // 2` zeros before and the rest of `size - 1` after: with stride
    1 that is SAME, with a larger one it is what the official networks pad.
    Named as its base, because files of weights number layers by the names of
    their classes.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "padding": "valid"})

    def convolution_op(self, inputs, kernel):
        """The convolution alone."""
        kernel = tf.convert_to_tensor(kernel)
        if self.strides == (1, 1):
            return tf.nn.conv2d(inputs, kernel, 1, "SAME")
        zeros = [(0, 0), *self._zeros(), (0, 0)]
        return _padded_convolution(inputs, kernel, self.strides, zeros)

    def _zeros(self):
        before = [(size - 1) // 2 for size in self.kernel_size]
        return [(b, s - 1 - b) for b, s in zip(before, self.kernel_size)]

    def compute_output_shape(self, input_shape):
        """`[B, ceil(H / stride), ceil(W / stride), filters]`."""
        sides = [
            side if side is None else side + before + after
            for side, (before, after) in zip(input_shape[1:3], self._zeros())
        ]
        return super().compute_output_shape(
            (input_shape[0], *sides, input_shape[3])
        )


def _padded_convolution(x, kernel, strides, zeros):
    """Pads and convolves; pads again for the gradient.

    Otherwise the padded copy would be kept until then. Convolutions that read
    their padding have no fast gradient on CPUs: in bfloat16 on TensorFlow 2.21
    it takes fifty times as long.
    """

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradients(dy):
            # What waits for `dy` is not merged with the padding below.
            with tf.control_dependencies([dy]):
                padded = tf.pad(x, zeros)
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
            start = [before for before, _ in zeros]
            return tf.slice(of_padded, start, tf.shape(x)), of_kernel

        padded = tf.pad(x, zeros)
        return tf.nn.conv2d(padded, kernel, strides, "VALID"), gradients

    options = {"strides": [1, *strides, 1], "padding": "VALID"}
    return convolve(x, kernel)


def conv(x, filters, size, name, settings, stride=1, **options):
    """Convolution, without bias unless `options` say so."""
    options.setdefault("use_bias", False)
    return Conv2D(
        filters,
        size,
        strides=stride,
        kernel_initializer=keras.initializers.VarianceScaling(
            scale=1.0, mode="fan_in", distribution="truncated_normal"
        ),
        name=name,
        dtype=settings.policy,
        **options,
    )(x)


def norm(x, name, settings, gamma_initializer="ones"):
    """Batch normalisation."""
    return BatchNormalization(
        gamma_initializer=gamma_initializer,
        synchronized=settings.global_bn,
        name=name,
        dtype=settings.policy,
    )(x)


def relu(x, name, settings):
    """Rectified linear unit."""
    return keras.layers.ReLU(name=name, dtype=settings.policy)(x)


def conv_norm_relu(x, filters, size, name, part, settings, stride=1):
    """`<name>_conv<part>`, `<name>_norm<part>`, `<name>_relu<part>`."""
    x = conv(x, filters, size, f"{name}_conv{part}", settings, stride)
    x = norm(x, f"{name}_norm{part}", settings)
    return relu(x, f"{name}_relu{part}", settings)


def _shortcut(x, filters, stride, name, settings):
    """Projection of the block's input to its output's shape."""
    name = f"{name}_shortcut"
    if settings.sk_ratio:
        # ResNet-D: pool, then a convolution that does not skip pixels.
        if stride > 1:
            x = keras.layers.ZeroPadding2D(
                ((0, 1), (0, 1)), name=f"{name}_pad", dtype=settings.policy
            )(x)
        x = keras.layers.AveragePooling2D(
            2,
            strides=stride,
            padding="valid" if stride > 1 else "same",
            name=f"{name}_pool",
            dtype=settings.policy,
        )(x)
        stride = 1
    x = conv(x, filters, 1, f"{name}_conv", settings, stride)
    return norm(x, f"{name}_norm", settings)


def _selective_kernels(x, filters, stride, name, settings):
    """Two 3x3 kernels and a choice between them, by image and channel.

    Li et al. 2019, arXiv 1903.06586, as SimCLRv2 uses it: both kernels are 3x3.
    """
    both = conv_norm_relu(x, 2 * filters, 3, name, 2, settings, stride)
    x = SumOfHalves(name=f"{name}_sk_sum", dtype=settings.policy)(both)
    x = SpatialMean(True, name=f"{name}_sk_mean", dtype=settings.policy)(x)
    reduced = max(int(filters * settings.sk_ratio), 32)
    x = conv(x, reduced, 1, f"{name}_sk_reduce", settings)
    x = norm(x, f"{name}_sk_norm", settings)
    x = relu(x, f"{name}_sk_relu", settings)
    logits = conv(x, 2 * filters, 1, f"{name}_sk_expand", settings)
    return SelectHalves(name=f"{name}_sk_select", dtype=settings.policy)(
        [both, logits]
    )


def _squeeze_excite(x, filters, name, settings):
    """A factor per image and channel. Hu et al. 2018, arXiv 1709.01507."""
    channels = x.shape[-1]
    reduced = max(1, int(filters * settings.se_ratio))
    gate = SpatialMean(True, name=f"{name}_se_mean", dtype=settings.policy)(x)
    gate = conv(gate, reduced, 1, f"{name}_se_reduce", settings, use_bias=True)
    gate = relu(gate, f"{name}_se_relu", settings)
    gate = conv(
        gate,
        channels,
        1,
        f"{name}_se_expand",
        settings,
        use_bias=True,
        activation="sigmoid",
    )
    return keras.layers.Multiply(
        name=f"{name}_se_scale", dtype=settings.policy
    )([x, gate])


def basic_path(x, filters, stride, name, settings):
    """Two 3x3 convolutions to `filters` channels: ResNet-18 and 34."""
    x = conv_norm_relu(x, filters, 3, name, 1, settings, stride)
    x = conv(x, filters, 3, f"{name}_conv2", settings)
    return norm(x, f"{name}_norm2", settings, settings.last_gamma)


def bottleneck_path(x, filters, stride, name, settings):
    """1x1, 3x3 and 1x1, to `4 * filters` channels: ResNet-50 and deeper."""
    x = conv_norm_relu(x, filters, 1, name, 1, settings)
    if settings.sk_ratio:
        x = _selective_kernels(x, filters, stride, name, settings)
    else:
        x = conv_norm_relu(x, filters, 3, name, 2, settings, stride)
    x = conv(x, 4 * filters, 1, f"{name}_conv3", settings)
    return norm(x, f"{name}_norm3", settings, settings.last_gamma)


def residual_block(
    x, path, filters, stride, project, name, output_name, settings
):
    """Adds a path of convolutions to its input, then a ReLU.

    Args:
        x: Symbolic tensor `[B, H, W, C]`.
        path: `basic_path` or `bottleneck_path`.
        filters: Base width of the block, in channels.
        stride: Stride of its 3x3 convolution that strides, 1 or 2.
        project: Whether the input passes a 1x1 convolution before the sum.
        name: What the names of its layers begin with.
        output_name: Name of its last layer, the ReLU.
        settings: A `BlockSettings`.

    Returns:
        Symbolic tensor `[B, ceil(H / stride), ceil(W / stride), C_out]`.
    """
    # The shortcut comes first, as in the official order of variables.
    shortcut = x
    if project:
        channels = filters * (4 if path is bottleneck_path else 1)
        shortcut = _shortcut(x, channels, stride, name, settings)
    x = path(x, filters, stride, name, settings)
    if settings.se_ratio:
        x = _squeeze_excite(x, filters, name, settings)
    x = keras.layers.Add(name=f"{name}_add", dtype=settings.policy)(
        [shortcut, x]
    )
    return relu(x, output_name, settings)
