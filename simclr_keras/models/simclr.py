"""Defines SimCLR: encoder, projection head and views as one Keras model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import networks
from simclr_keras import scalars
from simclr_keras.contrastive import NTXent
from simclr_keras.contrastive import make_loss
from simclr_keras.contrastive import takes_labels
from simclr_keras.models import batches
from simclr_keras.models import crops
from simclr_keras.models import evaluating
from simclr_keras.models import fitting
from simclr_keras.models import micro_batches
from simclr_keras.models import pixels
from simclr_keras.models import steps
from simclr_keras.models import trained_model

# Representation health needs eigenvalues, so it is measured every tenth step.
_HEALTH_EVERY = 10
_CONTRASTIVE = (
    "contrastive_accuracy",
    "contrastive_top5",
    "contrastive_entropy",
)


class _Counter:
    """Numbers the validation batches.

    A plain object, so that Keras does not track its variable as a weight.
    """

    def __init__(self):
        self.step = tf.Variable(
            0,
            trainable=False,
            dtype=tf.int64,
            # All replicas write the same value.
            aggregation=tf.VariableAggregation.NONE,
        )


@compat.register
class SimCLR(trained_model.TrainedModel):
    """Contrastive pre-training of an image encoder.

    One training step draws two views of every image, maps both to
    `h = encoder(view)` and `z = projection_head(h)` in one forward pass, and
    minimises the contrastive loss between the two sides.

    `fit` takes a `tf.data.Dataset` (or anything else that Keras takes) of

    * images `[B, H, W, C]`, uint8 in [0, 255] or float in [0, 1], C the
      channels of the encoder's input; for an encoder of RGB, grey ones
      `[B, H, W, 1]` are repeated, and those with alpha `[B, H, W, 4]` are
      composited onto white; floats out of range raise an error after the first
      step;
    * `(images, labels)`; the labels, integers `[B]` or `[B, 1]` or one-hot,
      train the online probe, and are given to a loss that takes them;
    * ready views `[B, 2, S, S, C]`, crops made on the host, with or without
      labels: the device only flips, distorts colours and blurs;
    * dicts with `images` (any of the above), `probe_images` and
      `probe_labels`, if the probe has its own labelled data set
      (`simclr_keras.data.with_probe`).

    Calling the model maps images to a dict with `h` `[B, C]`, `z` `[B, d]` and,
    with a probe, `probe_logits`, in inference mode by default.

    Under a `tf.distribute` strategy the views of all replicas are negatives on
    every replica, gradients flow back through them, and metrics are those of
    the global batch, which must be a multiple of the number of replicas. For
    one seed and one global batch size, training is the same on any number of
    replicas.

    Logged metrics: `loss` (contrastive, also as `val_loss`),
    `contrastive_accuracy`, `contrastive_top5`, `contrastive_entropy`; of the
    normalised z, at every tenth step and the first of a fit epoch, `z_std`,
    `alignment`, `uniformity` and `effective_rank`; with a probe `probe_loss`
    and `probe_accuracy`.

    Args:
        encoder: `keras.Model` that maps float images `[B, S, S, C]` in [0, 1]
            to features `[B, C]`, or to a feature map, which is averaged over
            space. Wrap a model that expects another range, or that outputs
            tokens, with `networks.as_encoder`.
        projection_head: `ProjectionHead` or another layer that maps `h` to
            `z`. Defaults to `ProjectionHead()`.
        views: layer with the interface of `TwoViews`.
        num_classes: number of classes of the online linear probe, which learns
            from `h` behind a stop-gradient and never changes the encoder.
            Defaults to None: no probe.
        l2: factor of the penalty `0.5 * sum(w^2)` added to the loss. With an
            optimizer that decays weights itself it is needed for the probe
            only. Defaults to 0.
        l2_scope: `which` of `optimizers.l2_penalty`: `"all"` penalises every
            trainable variable except those of batch norm, `"heads"` only the
            supervised head's kernel (as the official code does with LARS).
            Defaults to `"all"`.
        micro_batch_size: number of images, over all replicas, that pass through
            the networks at a time; must divide a larger global batch. That
            one is trained on by gradient caching: the loss is exactly
            that of the whole batch, in the memory of a micro-batch and for one
            additional forward pass. Batch norm then normalises over a
            micro-batch, which holds every K-th image if there are K, and moving
            statistics become the mean of the micro-batches' updates. Defaults
            to None: no micro-batches.

    Example:

        model = SimCLR(ResNet(18, small_images=True), views=TwoViews(32))
        model.compile(LARS(0.3), NTXent(temperature=0.1))
        model.fit(images, batch_size=256, epochs=100)

    Reference:
        Chen et al. (2020), arXiv 2002.05709, section 2 and Algorithm 1.
        Gradient caching: Gao et al. (2021), arXiv 2101.06983.
    """

    settings = ("num_classes", "l2", "l2_scope", "micro_batch_size")

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.layers.Layer | None = None,
        views: keras.layers.Layer | None = None,
        *,
        num_classes: int | None = None,
        l2: float = 0.0,
        l2_scope: str = "all",
        micro_batch_size: int | None = None,
        **kwargs,
    ):
        super().__init__(**{"name": "simclr", **kwargs})
        if views is None:
            raise ValueError(
                "views must be a layer such as TwoViews(image_size=32): without"
                " two views there is nothing to contrast. Received: views=None"
            )
        self.encoder = encoder
        self.projection_head = projection_head or networks.ProjectionHead()
        self.views = views
        self.num_classes = scalars.plain(num_classes)
        self.l2 = scalars.plain(l2)
        self.l2_scope = l2_scope
        self.micro_batch_size = micro_batches.check_argument(micro_batch_size)
        self.probe = None
        if num_classes is not None:
            self.probe = trained_model.supervised_head(self.num_classes)
        names = ["loss", *_CONTRASTIVE]
        if self.probe is not None:
            names += ["probe_loss", "probe_accuracy"]
        names += steps.HEALTH
        self._means = [compat.ReplicatedMean(name=name) for name in names]
        self._validation = _Counter()
        self.pixel_watch = pixels.PixelWatch()
        size = getattr(views, "size", None)
        networks.check_encoder(encoder, size, trained_model.channels_of(views))
        images = fitting.build_images(encoder, size, self.input_channels)
        outputs = self(images)
        self.h_spec = micro_batches.row_spec(outputs["h"])
        self.z_spec = micro_batches.row_spec(outputs["z"])

    def call(
        self, inputs: tf.Tensor, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Maps images to `h`, `z` and, with a probe, `probe_logits`."""
        images = pixels.to_float(inputs, self.input_channels)
        h = fitting.pooled(self.encoder(images, training=training))
        outputs = {"h": h, "z": self.projection_head(h, training=training)}
        if self.probe is not None:
            outputs["probe_logits"] = self.probe(tf.stop_gradient(h))
        return outputs

    def embed(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps images `[B, H, W, C]` to the representation `h` `[B, C]`."""
        images = pixels.to_float(images, self.input_channels)
        return fitting.pooled(self.encoder(images, training=training))

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        loss: str | Callable | None = None,
        **kwargs,
    ) -> None:
        """Configures training.

        Args:
            optimizer: Keras optimizer or the name of one.
            loss: callable that maps `z_a, z_b` to a scalar, or to a value for
                each image, of which the mean is taken; or the name of a loss
                of this package, such as `"nt_xent"`. A callable with an
                argument `labels` gets the classes of the images, integers
                `[N]`, which the data set must then yield. Defaults to
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
        if isinstance(loss, str):
            loss = make_loss(loss)
        super().compile(optimizer=optimizer, loss=loss or NTXent(), **kwargs)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means that `fit` and `evaluate` log and reset."""
        return list(self._means)

    def reset_metrics(self) -> None:
        """Resets the metrics and the numbering of validation batches."""
        super().reset_metrics()
        self._validation.step.assign(0)

    def fit(self, x: Any = None, *args, **kwargs) -> keras.callbacks.History:
        """As `keras.Model.fit`; its epoch says the order of `data.Batches`."""
        crops.check_two_crops(x)
        given, kwargs = x, fitting.by_name(args, kwargs, first=1)
        x = fitting.prepare(self, x, kwargs)
        fitting.check_negatives(self, given, kwargs)
        micro_batches.check_fit(self, given)
        with fitting.guarded_fit(self, kwargs):
            return super().fit(x, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args, **kwargs) -> Any:
        """As `keras.Model.evaluate`; refuses pixels out of range."""
        x = evaluating.for_evaluate(self, x, kwargs)
        return super().evaluate(x, y, *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step on the images of a batch; returns the metrics."""
        with batches.after_batch(data):
            batch = self._unpack(data)
            step = fitting.training_step(self.optimizer)
            logs, views = steps.train(self, batch, step)
            # At an epoch's first step too: a mean over no steps is NaN.
            (measured,) = (
                mean for mean in self._means if mean.name == steps.HEALTH[0]
            )
            has_mean = tf.convert_to_tensor(measured.count) > 0
            health = (step % _HEALTH_EVERY == 0) | ~has_mean
            return self._update(logs, views, health=health)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Loss in inference mode, on views that training never draws."""
        with batches.after_batch(data):
            batch = self._unpack(data)
            step = tf.convert_to_tensor(self._validation.step)
            logs, views = steps.validate(self, batch, step)
            self._validation.step.assign_add(1)
            return self._update(logs, views, health=True)

    def predict_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Outputs of `call` for a batch, with or without labels."""
        images = batches.unpack(
            data, num_classes=None, channels=self.input_channels
        ).images
        self.pixel_watch.note(images)
        return self(images, training=False)

    def _unpack(self, data):
        """`Batch` of an element of the data set; records its pixels' range."""
        batch = batches.unpack(
            data,
            self.num_classes,
            takes_labels(self.loss),
            self.input_channels,
        )
        self.pixel_watch.note(batch.images, batch.probe_images)
        return batch

    def _update(self, logs, views, health):
        """Adds a step's metrics to the means; returns the logs for `fit`."""
        logs = steps.global_logs(self.loss, logs, views, health)
        weights = dict.fromkeys(steps.HEALTH, tf.cast(health, tf.float32))
        for mean in self._means:
            mean.update_state(logs[mean.name], weights.get(mean.name))
        return self.step_logs(
            {mean.name: mean.result() for mean in self._means}
        )
