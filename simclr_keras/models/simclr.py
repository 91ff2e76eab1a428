"""Encoder, projection head, views and loss as one Keras model to `fit`."""

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import replicas
from simclr_keras.contrastive import ContrastiveLoss
from simclr_keras.contrastive import NTXent
from simclr_keras.contrastive import contrastive_metrics
from simclr_keras.contrastive import cross_replica
from simclr_keras.contrastive import representation_health
from simclr_keras.models import batches
from simclr_keras.models import fitting
from simclr_keras.networks import ProjectionHead
from simclr_keras.optimizers import l2_penalty

# Representation health needs eigenvalues: measured at every tenth step.
_HEALTH_EVERY = 10
_CONTRASTIVE = (
    "contrastive_accuracy",
    "contrastive_top5",
    "contrastive_entropy",
)
_HEALTH = ("z_std", "alignment", "uniformity", "effective_rank")


class _Counter:
    """Numbers the validation batches; no weight of the model, so wrapped."""

    def __init__(self):
        self.step = tf.Variable(
            0,
            trainable=False,
            dtype=tf.int64,
            aggregation=tf.VariableAggregation.NONE,  # all count alike
        )


class _SampledMean(compat.ReplicatedMean):
    """Mean over the steps that were measured; no number where none was."""

    def result(self):
        return tf.convert_to_tensor(self.total) / self.count


@compat.register
class SimCLR(compat.TrainedByReplicas):
    """Contrastive pre-training of an image encoder.

    One training step draws two views of every image, maps both to
    `h = encoder(view)` and `z = projection_head(h)` in one forward pass, and
    minimises the contrastive loss between the two sides.

    `fit` takes a `tf.data.Dataset` (or anything else that Keras takes) of

    * images `[B, H, W, 3]`, uint8 in [0, 255] or float in [0, 1];
    * `(images, labels)`; the labels, integers `[B]`, feed the online probe;
    * ready views `[B, 2, S, S, 3]`, crops made on the host, with or without
      labels: only flip, colour and blur are left to the device;
    * dicts with `images` (any of the above), `probe_images` and
      `probe_labels`, where the probe has a labelled data set of its own
      (`simclr_keras.data.with_probe`).

    Calling the model maps images to a dict with `h` `[B, C]`, `z` `[B, d]` and,
    with a probe, `probe_logits`, in inference mode by default.

    Under a `tf.distribute` strategy the views of all replicas are negatives for
    all, gradients flow back through them, and metrics are those of the global
    batch, which must divide by the number of replicas. For one seed and one
    global batch the training is the same on any number of them.

    Logged metrics: `loss` (contrastive, also as `val_loss`),
    `contrastive_accuracy`, `contrastive_top5`, `contrastive_entropy`; of the
    normalised z, at every tenth step, `z_std`, `alignment`, `uniformity` and
    `effective_rank`; with a probe `probe_loss` and `probe_accuracy`.

    Args:
        encoder: `keras.Model` that maps float images `[B, S, S, 3]` in [0, 1]
            to features `[B, C]`, or to a feature map, which is averaged over
            space. One that expects another range gets a `Rescaling` layer in
            front.
        projection_head: `ProjectionHead` or another layer that maps `h` to
            `z`. Defaults to `ProjectionHead()`.
        views: layer with the interface of `TwoViews`.
        num_classes: number of classes of the online linear probe, which learns
            from `h` behind a stop-gradient and never changes the encoder.
            Defaults to None: no probe.
        l2: factor of the penalty `0.5 * sum(w^2)` added to the loss.
            Optimizers that decay by themselves need it for the probe only.
            Defaults to 0.
        l2_scope: `which` of `optimizers.l2_penalty`: `"all"` penalises every
            trainable variable but those of batch norm, `"heads"` the
            supervised head's kernel alone (the official code beside LARS).
            Defaults to `"all"`.

    Example:

        model = SimCLR(ResNet(18, small_images=True), views=TwoViews(32))
        model.compile(LARS(0.3), NTXent(temperature=0.1))
        model.fit(images, batch_size=256, epochs=100)

    Reference:
        Chen et al. (2020), arXiv 2002.05709, section 2 and Algorithm 1.
    """

    def __init__(
        self,
        encoder,
        projection_head=None,
        views=None,
        *,
        num_classes=None,
        l2=0.0,
        l2_scope="all",
        **kwargs,
    ):
        super().__init__(**{"name": "simclr", **kwargs})
        if views is None:
            raise ValueError(
                "views must be a layer such as TwoViews(image_size=32): without"
                " two views there is nothing to contrast. Received: views=None"
            )
        self.encoder = encoder
        self.projection_head = projection_head or ProjectionHead()
        self.views = views
        self.num_classes = num_classes
        self.l2 = l2
        self.l2_scope = l2_scope
        self.probe = None
        if num_classes is not None:
            self.probe = keras.layers.Dense(
                num_classes,
                kernel_initializer=keras.initializers.RandomNormal(0.0, 0.01),
                dtype="float32",
                name="supervised_head",
            )
        names = ["loss", *_CONTRASTIVE]
        if self.probe is not None:
            names += ["probe_loss", "probe_accuracy"]
        self._means = [compat.ReplicatedMean(name=name) for name in names]
        self._means += [_SampledMean(name=name) for name in _HEALTH]
        self._validation = _Counter()
        self(tf.zeros((1, *fitting.build_size(encoder), 3)))

    def build(self, input_shape=None):
        """Does nothing: the model is built when it is made."""
        self.built = True

    def call(self, inputs, training=False):
        """Maps images to `h`, `z` and, with a probe, `probe_logits`."""
        images = batches.to_float(inputs)
        h = fitting.pooled(self.encoder(images, training=training))
        outputs = {"h": h, "z": self.projection_head(h, training=training)}
        if self.probe is not None:
            outputs["probe_logits"] = self.probe(tf.stop_gradient(h))
        return outputs

    def embed(self, images, training=False):
        """Maps images `[B, H, W, 3]` to the representation `h` `[B, C]`."""
        images = batches.to_float(images)
        return fitting.pooled(self.encoder(images, training=training))

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """Configures training.

        Args:
            optimizer: Keras optimizer or the name of one.
            loss: callable that maps `z_a, z_b` to a scalar. Defaults to
                `NTXent(temperature=0.1)`.
            **kwargs: further arguments of `keras.Model.compile`. XLA is off
                unless `jit_compile=True` is given (Keras 3's "auto" turns it
                on, which slows convolutions on CPU).
        """
        if kwargs.pop("metrics", None):
            raise ValueError(
                "metrics must be left out: SimCLR logs the contrastive metrics"
                " itself, and a probe's with num_classes."
            )
        kwargs.setdefault("jit_compile", False)
        super().compile(optimizer=optimizer, loss=loss or NTXent(), **kwargs)

    def compile_from_config(self, config):
        """Compiles a loaded model as it was saved, by the config of that."""
        fitting.compile_from_config(self, config)

    @property
    def metrics(self):
        """The running means that `fit` and `evaluate` log and reset."""
        return list(self._means)

    def reset_metrics(self):
        """Resets the metrics and the numbering of validation batches."""
        super().reset_metrics()
        self._validation.step.assign(0)

    def fit(self, x=None, *args, **kwargs):
        """`keras.Model.fit`, which a data set of ours follows by epochs."""
        x = fitting.prepare(self, x, kwargs)
        with fitting.supervised(self, kwargs):
            return super().fit(x, *args, **kwargs)

    def train_step(self, data):
        """One step on the images of a batch; returns the metrics."""
        batch = batches.unpack(data, with_probe=self.probe is not None)
        step = fitting.training_step(self.optimizer)
        with tf.GradientTape() as tape:
            loss, logs = self._forward(batch, step, first_view=0, training=True)
            # The replicas' gradients are summed: the mean over replicas.
            loss /= replicas.here()[0]
        compat.minimize(self.optimizer, tape, loss, self.trainable_variables)
        return self._update(logs, health=step % _HEALTH_EVERY == 0)

    def test_step(self, data):
        """Contrastive loss of a batch in inference mode, on other views."""
        batch = batches.unpack(data, with_probe=self.probe is not None)
        step = tf.convert_to_tensor(self._validation.step)
        _, logs = self._forward(batch, step, first_view=2, training=False)
        self._validation.step.assign_add(1)
        return self._update(logs, health=True)

    def _forward(self, batch, step, first_view, training):
        """Total loss and a dict of what is to be logged."""
        positions = replicas.positions(tf.shape(batch.images)[0])
        view_a, view_b = self.views(
            batch.images, step, positions=positions, first_view=first_view
        )
        both = self(tf.concat([view_a, view_b], axis=0), training=training)
        z_a, z_b = tf.split(both["z"], 2, axis=0)
        candidates = cross_replica.candidates(z_a, z_b)
        loss = self._contrast(z_a, z_b, candidates)
        logs = {"loss": loss, "z": (z_a, z_b, candidates)}
        if self.probe is not None:
            logits, labels = self._probe_outputs(batch, both)
            probe_loss, logs["probe_accuracy"] = _classification(logits, labels)
            logs["probe_loss"] = probe_loss
            loss += tf.cast(probe_loss, loss.dtype)
        if self.l2:
            penalty = l2_penalty(self, self.l2, self.l2_scope)
            loss += tf.cast(penalty, loss.dtype)
        return loss, logs

    def _probe_outputs(self, batch, both):
        if batch.probe_images is None:
            return both["probe_logits"], tf.tile(batch.labels, [2])
        images = batches.to_float(batch.probe_images)
        if tuple(images.shape[1:3]) != tuple(self.views.size):
            images = tf.image.resize(images, self.views.size, antialias=True)
        h = self.embed(images, training=False)
        return self.probe(tf.stop_gradient(h)), batch.labels

    def _contrast(self, z_a, z_b, candidates):
        """Contrastive loss of this replica's anchors, or of the batch."""
        if candidates and not isinstance(self.loss, ContrastiveLoss):
            # A loss of the user's knows two views only: all replicas compute
            # the whole, and the mean over them is the same.
            return self.loss(candidates["z_a_global"], candidates["z_b_global"])
        return self.loss(z_a, z_b, **candidates)

    def _update(self, logs, health):
        z_a, z_b, candidates = logs.pop("z")
        contrast = contrastive_metrics(
            z_a,
            z_b,
            temperature=getattr(self.loss, "temperature", 1.0),
            normalize=getattr(self.loss, "normalize", True),
            **candidates,
        )
        everything = (
            candidates.get("z_a_global", z_a),
            candidates.get("z_b_global", z_b),
        )
        measured = tf.cond(
            tf.cast(health, tf.bool),
            lambda: representation_health(*everything),
            lambda: dict.fromkeys(_HEALTH, tf.constant(0.0)),
        )
        logs = replicas.mean({**logs, **contrast})
        logs.update(measured)
        weights = dict.fromkeys(_HEALTH, tf.cast(health, tf.float32))
        for mean in self._means:
            mean.update_state(logs[mean.name], weights.get(mean.name))
        return self.step_logs(
            {mean.name: mean.result() for mean in self._means}
        )

    def get_config(self):
        """Arguments of the model, nested layers serialised."""
        nested = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in ("encoder", "projection_head", "views")
        }
        return {
            "name": self.name,
            **nested,
            "num_classes": self.num_classes,
            "l2": self.l2,
            "l2_scope": self.l2_scope,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Model from the dict of `get_config`."""
        config = dict(config)
        for name in ("encoder", "projection_head", "views"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)


def _classification(logits, labels):
    """Mean cross-entropy and accuracy of logits `[B, K]`, labels `[B]`."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    correct = tf.argmax(logits, axis=1) == tf.cast(labels, tf.int64)
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))
    return tf.reduce_mean(losses), accuracy
