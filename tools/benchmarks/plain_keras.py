"""Builds and trains SimCLR with stock Keras layers and the dense loss.

The package is compared with these, so they use nothing from it. The networks
have the convolutions, channels and parameters of `simclr_keras.networks`.
"""

import keras
import tensorflow as tf

_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


def resnet(depth, small_images):
    """ResNet-18 or -50; see `simclr_keras.networks.ResNet`."""
    images = keras.Input((None, None, 3))
    if small_images:
        x = _conv_norm(images, 64, 3, relu=True)
    else:
        x = _conv_norm(images, 64, 7, strides=2, relu=True)
        x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    block = _basic if depth < 50 else _bottleneck
    for stage, count in enumerate(_BLOCKS[depth]):
        for number in range(count):
            strides = 2 if stage and not number else 1
            x = block(x, 64 * 2**stage, strides, project=not number)
    return _pooled(images, x)


def tiny_resnet(channels=(32, 64, 128)):
    """See `simclr_keras.networks.TinyResNet`."""
    images = keras.Input((None, None, 3))
    x = _conv_norm(images, channels[0], 3, strides=2, relu=True)
    for stage, filters in enumerate(channels):
        x = _basic(x, filters, 2 if stage else 1, project=stage > 0)
    return _pooled(images, x)


def projection_head(in_dim, num_layers, width=None, out_dim=128):
    """See `simclr_keras.networks.ProjectionHead`."""
    h = keras.Input((in_dim,))
    z = h
    for number in range(num_layers):
        last = number == num_layers - 1
        units = out_dim if last else width or in_dim
        z = keras.layers.Dense(units, use_bias=False)(z)
        z = _norm(z, center=not last)
        if not last:
            z = keras.layers.ReLU()(z)
    return keras.Model(h, z)


def _conv_norm(x, filters, size, strides=1, relu=False):
    x = keras.layers.Conv2D(
        filters, size, strides=strides, padding="same", use_bias=False
    )(x)
    x = _norm(x)
    return keras.layers.ReLU()(x) if relu else x


def _norm(x, center=True):
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, center=center
    )(x)


def _basic(x, filters, strides, project):
    shortcut = _conv_norm(x, filters, 1, strides) if project else x
    x = _conv_norm(x, filters, 3, strides, relu=True)
    x = _conv_norm(x, filters, 3)
    return keras.layers.ReLU()(keras.layers.Add()([shortcut, x]))


def _bottleneck(x, filters, strides, project):
    shortcut = _conv_norm(x, 4 * filters, 1, strides) if project else x
    x = _conv_norm(x, filters, 1, relu=True)
    x = _conv_norm(x, filters, 3, strides, relu=True)
    x = _conv_norm(x, 4 * filters, 1)
    return keras.layers.ReLU()(keras.layers.Add()([shortcut, x]))


def _pooled(images, x):
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


def nt_xent(z_a, z_b, temperature=0.1):
    """Mean NT-Xent of all 2N anchors, from a `[2N, 2N]` similarity matrix."""
    z = tf.cast(tf.concat([z_a, z_b], axis=0), tf.float32)
    z = tf.math.l2_normalize(z, axis=1)
    size = tf.shape(z)[0]
    similarities = tf.matmul(z, z, transpose_b=True) / temperature
    similarities -= 1e9 * tf.eye(size)  # an anchor is not its own candidate
    positives = tf.roll(tf.range(size), size // 2, axis=0)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(positives, similarities)
    )


class SimCLR(keras.Model):
    """Trains on given pairs of views, in one forward pass as `sk.SimCLR` does.

    Args:
        encoder: `keras.Model` from images to h.
        projection_head: `keras.Model` from h to z.
    """

    def __init__(self, encoder, projection_head):
        super().__init__()
        self.encoder = encoder
        self.projection_head = projection_head
        self.mean_loss = keras.metrics.Mean(name="loss")
        self.built = True

    @property
    def metrics(self):
        """The mean loss, which `fit` resets."""
        return [self.mean_loss]

    def train_step(self, data):
        """One step on `(view_a, view_b)`, float images in [0, 1]."""
        views = tf.concat(data, axis=0)
        with tf.GradientTape() as tape:
            h = self.encoder(views, training=True)
            z = self.projection_head(h, training=True)
            loss = nt_xent(*tf.split(z, 2))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}
