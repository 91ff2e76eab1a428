"""Encoder, projection head, views and loss as one Keras model to `fit`."""

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import networks
from simclr_keras import replicas
from simclr_keras.contrastive import NTXent
from simclr_keras.contrastive import contrastive_metrics
from simclr_keras.contrastive import representation_health
from simclr_keras.contrastive import similarity
from simclr_keras.models import batches
from simclr_keras.models import fitting
from simclr_keras.models import micro_batches
from simclr_keras.models import pixels
from simclr_keras.models import steps

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


@compat.register
class SimCLR(compat.TrainedByReplicas):
    """Contrastive pre-training of an image encoder.

    One training step draws two views of every image, maps both to
    `h = encoder(view)` and `z = projection_head(h)` in one forward pass, and
    minimises the contrastive loss between the two sides.

    `fit` takes a `tf.data.Dataset` (or anything else that Keras takes) of

    * images `[B, H, W, 3]`, uint8 in [0, 255] or float in [0, 1]; grey ones
      `[B, H, W, 1]` are repeated, alpha `[B, H, W, 4]` is laid on white;
      floats in another range stop the first step;
    * `(images, labels)`; the labels, integers `[B]` or `[B, 1]` or one-hot,
      feed the online probe;
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
            space. One that expects another range, or gives tokens, is wrapped
            by `networks.as_encoder`.
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
        micro_batch_size: images, over all replicas, that go through the
            networks at a time. A larger global batch, of which it must be a
            divisor, is trained on by gradient caching: the loss is that of the
            whole batch, exactly, in the memory of a micro-batch and for one
            more forward pass. Batch norm then normalises over a micro-batch,
            every K-th image of K micro-batches, and moving statistics are the
            mean of what the micro-batches make of them. Defaults to None: the
            batch goes through whole.

    Example:

        model = SimCLR(ResNet(18, small_images=True), views=TwoViews(32))
        model.compile(LARS(0.3), NTXent(temperature=0.1))
        model.fit(images, batch_size=256, epochs=100)

    Reference:
        Chen et al. (2020), arXiv 2002.05709, section 2 and Algorithm 1.
        Gradient caching: Gao et al. (2021), arXiv 2101.06983.
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
        micro_batch_size=None,
        **kwargs,
    ):
        super().__init__(**{"name": "simclr", **kwargs})
        if views is None:
            raise ValueError(
                "views must be a layer such as TwoViews(image_size=32): without"
                " two views there is nothing to contrast. Received: views=None"
            )
        if micro_batch_size is not None and not (
            isinstance(micro_batch_size, int) and micro_batch_size > 0
        ):
            raise ValueError(
                "micro_batch_size must be a positive whole number of images, or"
                f" None. Received: {micro_batch_size!r}"
            )
        self.encoder = encoder
        self.projection_head = projection_head or networks.ProjectionHead()
        self.views = views
        self.num_classes = num_classes
        self.l2 = l2
        self.l2_scope = l2_scope
        self.micro_batch_size = micro_batch_size
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
        names += _HEALTH
        self._means = [compat.ReplicatedMean(name=name) for name in names]
        self._validation = _Counter()
        self.pixel_watch = pixels.PixelWatch()
        size = getattr(views, "size", None)
        networks.check_encoder(encoder, size)
        outputs = self(fitting.build_images(encoder, size))
        # What one image gives, for those who collect many.
        self.h_spec, self.z_spec = (_row_spec(outputs[k]) for k in "hz")

    def build(self, input_shape=None):
        """Does nothing: the model is built when it is made."""
        self.built = True

    def call(self, inputs, training=False):
        """Maps images to `h`, `z` and, with a probe, `probe_logits`."""
        images = pixels.to_float(inputs)
        h = fitting.pooled(self.encoder(images, training=training))
        outputs = {"h": h, "z": self.projection_head(h, training=training)}
        if self.probe is not None:
            outputs["probe_logits"] = self.probe(tf.stop_gradient(h))
        return outputs

    def embed(self, images, training=False):
        """Maps images `[B, H, W, 3]` to the representation `h` `[B, C]`."""
        images = pixels.to_float(images)
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
        fitting.check_two_crops(x)
        given, x = x, fitting.prepare(self, x, kwargs)
        _check_batch(self.global_batch_size)
        micro_batches.check_fit(self, given)
        with fitting.supervised(self, kwargs):
            return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.evaluate`; refuses pixels in another range."""
        fitting.watch_pixels(kwargs)
        x = fitting.as_dataset(self, x)
        return super().evaluate(x, y, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """`keras.Model.predict`; refuses pixels in another range."""
        fitting.watch_pixels(kwargs)
        x = fitting.as_dataset(self, x)
        return super().predict(x, *args, **kwargs)

    def train_step(self, data):
        """One step on the images of a batch; returns the metrics."""
        with batches.behind(data):
            batch = self._unpacked(data)
            step = fitting.training_step(self.optimizer)
            logs, views = steps.train(self, batch, step)
            # At an epoch's first step too, whose means are else no numbers.
            begun = tf.convert_to_tensor(self._means[-1].count) > 0
            health = (step % _HEALTH_EVERY == 0) | ~begun
            return self._update(logs, views, health=health)

    def test_step(self, data):
        """Contrastive loss of a batch in inference mode, on other views."""
        with batches.behind(data):
            batch = self._unpacked(data)
            step = tf.convert_to_tensor(self._validation.step)
            logs, views = steps.validate(self, batch, step)
            self._validation.step.assign_add(1)
            return self._update(logs, views, health=True)

    def predict_step(self, data):
        """What `call` gives for a batch, with or without labels."""
        images = batches.unpack(data, num_classes=None).images
        self.pixel_watch.note(images)
        return self(images, training=False)

    def _unpacked(self, data):
        """`Batch` of what a data set yields, its pixels looked at."""
        batch = batches.unpack(data, self.num_classes)
        self.pixel_watch.note(batch.images, batch.probe_images)
        return batch

    def _update(self, logs, views, health):
        z_a, z_b, candidates = views
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
            "micro_batch_size": self.micro_batch_size,
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


def _check_batch(images):
    """Refuses a batch in which an image has no negatives."""
    if images == 1:
        raise ValueError(
            "the batch must have at least 2 images: one alone has nothing to be"
            " told from, its loss is 0 and nothing is learnt. Received: batches"
            " of 1 image"
        )


def _row_spec(outputs):
    """Shape and dtype of one row of a network's output, float32 at least."""
    dtype = similarity.as_float(outputs).dtype
    return tf.TensorSpec(outputs.shape[1:], dtype)
