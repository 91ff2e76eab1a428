"""Defines the classifier of linear evaluation and fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import networks
from simclr_keras import scalars
from simclr_keras.distribute import replicas
from simclr_keras.models import augmentation
from simclr_keras.models import batches
from simclr_keras.models import evaluating
from simclr_keras.models import fitting
from simclr_keras.models import freezing
from simclr_keras.models import outputs
from simclr_keras.models import pixels
from simclr_keras.models import target_scale
from simclr_keras.models import trained_model
from simclr_keras.optimizers import l2_penalty
from simclr_keras.optimizers import weight_decay


@compat.register
class Classifier(trained_model.TrainedModel):
    """Linear classifier on an encoder, all or part of which can be frozen.

    The encoder and the projection head are copied, so training the classifier
    does not change the pretrained model. Frozen parts run in inference mode;
    their batch-norm statistics do not change.

    `fit` takes `(images, labels)` with images `[B, H, W, C]`, uint8 in
    [0, 255] or float in [0, 1] (channels as `SimCLR` takes them), and
    integer labels `[B]` or `[B, 1]`, or one-hot `[B, K]`.

    Calling the model returns class probabilities `[B, K]`, float32, so
    `compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])` is
    right without `from_logits`. With `activation="sigmoid"` an image may have
    several labels at once, rows `[B, K]` of 0 and 1 for the loss
    `"binary_crossentropy"`; with `activation="linear"` the outputs are K
    numbers, for losses such as `"mse"`. `fit` refuses losses that do not fit.

    Args:
        encoder: `keras.Model` from images to features `[B, C]` or a feature
            map (averaged over space), such as `simclr.encoder`. It must round
            trip through `get_config`.
        num_classes: number of classes K, or of outputs.
        freeze: `"all"` trains the linear layer only (linear evaluation),
            `"none"` everything (fine-tuning); an integer b in 0..4 freezes the
            stem and the block groups 1..b of a `ResNet` or `TinyResNet`.
            Defaults to `"none"`.
        projection_head: `ProjectionHead` of the pretrained model, needed for
            `projection_layer` other than 0. Defaults to None.
        projection_layer: output of the projection head that feeds the linear
            layer: 0 is `h` itself, 1 the first layer's output, -1 the last's.
            Later layers are not used. Defaults to 0.
        views: training augmentation of images: a `View` (crops and flips for
            linear evaluation), or any Keras layer. Defaults to None.
        seed: seed of the augmentation. Defaults to 0.
        image_size: side in pixels of the training images, stored for the
            export. Defaults to None: the size of the images that `fit` gets.
        l2: factor of the penalty `0.5 * sum(w^2)`. Defaults to 0.
        l2_scope: `"all"` or `"heads"`, see `SimCLR`. Defaults to `"all"`.
        activation: `"softmax"` for one class of K, `"sigmoid"` for several
            labels at once, `"linear"` or None for numbers. Defaults to
            `"softmax"`.
        class_weights: K factors above 0 of the classes in the training loss,
            for `"softmax"`. Defaults to None: all are 1.
        target_mean: K means of the training targets, for `"linear"`. The head
            then predicts standardised targets, and the loss compares these; the
            outputs of the model, and its metrics, are in the units of the
            targets. Defaults to None: targets are as they are.
        target_std: their K standard deviations; given with `target_mean`.

    Raises:
        ValueError: `freeze` or `projection_layer` do not fit the encoder, or
            an argument is out of its range.

    Reference:
        Chen et al. (2020), arXiv 2002.05709, appendix B.5 and B.6; fine-tuning
        from a projection layer: arXiv 2006.10029, section 2.
    """

    takes_one_crop = True
    settings = (
        "num_classes",
        "freeze",
        "projection_layer",
        "seed",
        "image_size",
        "l2",
        "l2_scope",
        "activation",
        "class_weights",
        "target_mean",
        "target_std",
    )

    def __init__(
        self,
        encoder: keras.Model,
        num_classes: int,
        *,
        freeze: str | int = "none",
        projection_head: keras.layers.Layer | None = None,
        projection_layer: int = 0,
        views: keras.layers.Layer | None = None,
        seed: int = 0,
        image_size: int | None = None,
        l2: float = 0.0,
        l2_scope: str = "all",
        activation: str | None = "softmax",
        class_weights: Sequence[float] | None = None,
        target_mean: Sequence[float] | None = None,
        target_std: Sequence[float] | None = None,
        **kwargs,
    ):
        super().__init__(**{"name": "classifier", **kwargs})
        self.activation = outputs.check_activation(activation, num_classes)
        self.class_weights = outputs.check_class_weights(
            class_weights, num_classes, self.activation
        )
        self.target_scale = scale = target_scale.check(
            target_mean, target_std, num_classes, self.activation
        )
        weight_decay.check_l2(l2)
        self.freeze = freeze = freezing.check_freeze(freeze, encoder)
        freezing.check_projection_layer(projection_layer, projection_head)
        size = getattr(views, "size", None) or (
            image_size and (image_size,) * 2
        )
        shape = size, trained_model.channels_of(views)
        networks.check_encoder(encoder, *shape)
        image = fitting.build_images(encoder, *shape)
        self.encoder = trained_model.copy_model(encoder, image)
        self.projection_head = None
        if projection_layer != 0:
            self.projection_head = type(projection_head).from_config(
                projection_head.get_config()
            )
        self.views = views
        self._augmentation = augmentation.Augmentation(views, seed)
        self.num_classes = int(num_classes)
        self.projection_layer = scalars.plain(projection_layer)
        self.seed = scalars.plain(seed)
        self.image_size = scalars.plain(image_size)
        self.l2 = scalars.plain(l2)
        self.l2_scope = l2_scope
        self.target_mean = scale and scale.mean
        self.target_std = scale and scale.std
        self.pixel_watch = pixels.PixelWatch()
        self.head = trained_model.supervised_head(self.num_classes)
        self(image)
        if self.projection_head is not None and projection_head.weights:
            self.projection_head.set_weights(projection_head.get_weights())
        # Last, as Keras 2.15 reorders the weights once some are frozen.
        freezing.freeze_parts(
            self.encoder, self.projection_head, freeze, projection_layer
        )

    def embed(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps images `[B, H, W, C]` to the representation `h` `[B, C]`."""
        training = training and self.freeze != "all"
        images = pixels.to_float(images, self.input_channels)
        return fitting.pooled(self.encoder(images, training=training))

    def logits_of(self, h: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps `h` `[B, C]` to logits `[B, K]`, float32."""
        if self.projection_head is not None:
            training = training and self.freeze != "all"
            h = self.projection_head.layer_output(
                h, self.projection_layer, training=training
            )
        return self.head(h)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps images to probabilities or numbers `[B, K]`, float32."""
        h = self.embed(inputs, training=training)
        return self.activated(self.logits_of(h, training=training))

    def activated(self, logits: tf.Tensor) -> tf.Tensor:
        """Maps logits `[B, K]` to the outputs of the model."""
        if self.target_scale is not None:
            return self.target_scale.to_units(logits)
        # Keras recognises the softmax and computes the loss from the logits.
        return outputs.ACTIVATIONS[self.activation](logits)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: Any = None,
        **kwargs,
    ) -> None:
        """As `keras.Model.compile`; XLA is off unless `jit_compile=True`."""
        kwargs.setdefault("jit_compile", False)
        for name in ("metrics", "weighted_metrics"):
            if kwargs.get(name):
                kwargs[name] = outputs.fitting_metrics(
                    kwargs[name], self.activation
                )
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def fit(
        self, x: Any = None, y: Any = None, *args, **kwargs
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`; its epoch says the order of `data.Batches`."""
        outputs.check_loss(getattr(self, "loss", None), self.activation)
        kwargs = fitting.by_name(args, kwargs, first=2)
        x = fitting.prepare(self, x, kwargs, y)
        size = fitting.image_size_of(x)
        if size is not None and self.views is None:
            networks.check_encoder(self.encoder, (size, size))
        self.image_size = self.image_size or size
        with fitting.guarded_fit(self, kwargs):
            return super().fit(x, y, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args, **kwargs) -> Any:
        """As `keras.Model.evaluate`; refuses pixels out of range."""
        x = evaluating.for_evaluate(self, x, kwargs)
        if getattr(self, "optimizer", None) is not None:
            self.build_state(fitting.labels_of(x, y))
        return super().evaluate(x, y, *args, **kwargs)

    def build_state(self, labels: tf.TensorSpec | None = None) -> None:
        """Creates the variables of optimizer and metrics before training."""
        super().build_state(labels)
        if labels is None:
            return
        labels = outputs.target_spec(labels, *self._target_arguments())
        with self.distribute_strategy.scope():
            compat.build_metrics(
                self,
                tf.zeros([1, *labels.shape[1:]], labels.dtype),
                tf.zeros([1, self.num_classes]),
            )

    def _target_arguments(self):
        return self.num_classes, self.activation, self.loss

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step on augmented images; returns the metrics."""
        with batches.after_batch(data):
            return self.step_logs(super().train_step(self._augment(data)))

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Metrics of a batch in inference mode."""
        with batches.after_batch(data):
            return self.step_logs(super().test_step(self._unpack(data)))

    def predict_step(self, data: Any) -> tf.Tensor:
        """Outputs for a batch, with or without labels."""
        x = keras.utils.unpack_x_y_sample_weight(data)[0]
        return super().predict_step((self._images(x),))

    def _images(self, x):
        """Checked images of a batch; records the range of their pixels."""
        if x.shape.rank not in (4, None):
            raise ValueError(
                "images must have the shape [B, H, W, C]; load photographs by"
                f" views=1. Received: shape {x.shape}"
            )
        x = pixels.with_channels(x, self.input_channels)
        self.pixel_watch.note(x)
        return x

    def _unpack(self, data):
        """`(images, targets, weights)` of a batch, the images checked."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y = outputs.targets(y, *self._target_arguments())
        return self._images(x), y, sample_weight

    def _augment(self, data):
        """`_unpack`, with augmented images and the class weights."""
        x, y, sample_weight = self._unpack(data)
        if self.class_weights is not None:
            sample_weight = outputs.weights_of(
                y, self.class_weights, sample_weight
            )
        if self.views is not None:
            step = fitting.training_step(self.optimizer)
            x = self._augmentation(x, step, self.crops_are_ready)
        return x, y, sample_weight

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, *args, **kwargs
    ) -> tf.Tensor:
        """The compiled loss, on standardised targets, plus the L2 penalty."""
        if self.target_scale is not None and y_pred is not None:
            y, y_pred = map(self.target_scale.standardize, (y, y_pred))
        loss = super().compute_loss(x, y, y_pred, *args, **kwargs)
        if self.l2:
            penalty = l2_penalty(self, self.l2, self.l2_scope)
            # Replicas' gradients are summed. Keras divides its own loss only.
            penalty /= replicas.replica_context().count
            loss += tf.cast(penalty, loss.dtype)
        return loss
