"""The training step and the dense NT-Xent, as in Keras's examples."""

import keras
import tensorflow as tf


def nt_xent(z_a, z_b, temperature):
    """Mean over all 2N anchors, by one `[2N, 2N]` matrix of similarities."""
    z = tf.cast(tf.concat([z_a, z_b], axis=0), tf.float32)
    z = tf.math.l2_normalize(z, axis=1)
    size = tf.shape(z)[0]
    similarities = tf.matmul(z, z, transpose_b=True) / temperature
    similarities -= 1e9 * tf.eye(size)  # an anchor is no candidate of its own
    positives = tf.roll(tf.range(size), size // 2, axis=0)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(positives, similarities)
    )


class SimCLR(keras.Model):
    """Contrastive training on pairs of ready views.

    Both views go through the network as one batch, as in ours.

    Args:
        encoder: `keras.Model` from images to h.
        projection_head: `keras.Model` from h to z.
        temperature: of the loss.
    """

    def __init__(self, encoder, projection_head, temperature=0.1):
        super().__init__()
        self.encoder = encoder
        self.projection_head = projection_head
        self.temperature = temperature
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
            loss = nt_xent(*tf.split(z, 2), self.temperature)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}
