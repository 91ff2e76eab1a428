"""Defines the base of both models: their state, logs and configuration."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import networks
from simclr_keras.distribute import workers
from simclr_keras.images import channels as channel_counts
from simclr_keras.models import evaluating
from simclr_keras.optimizers.weight_decay import SUPERVISED_HEAD

_NESTED = ("encoder", "projection_head", "views")


class TrainedModel(compat.BuildsItself):
    """Base of `SimCLR` and `Classifier`, trained under any strategy.

    Attributes:
        settings: names of the arguments that are not layers, each also an
            attribute; a subclass lists its own.
        fit_position: `FitPosition` of the `fit` that runs, or of the last one.
        input_wait: `InputWait` that measures this `fit`, or None.
        global_batch_size: images in its global batch; None if unknown.
        crops_are_ready: whether its images are crops already, made on the
            host.
        takes_one_crop: whether it trains on one crop of an image, not on two.
        rank_of_test_function: rank of the images for which Keras has traced
            this function; None if it is unknown.
        rank_of_predict_function: likewise.
    """

    settings = ()
    fit_position = None
    input_wait = None
    global_batch_size = None
    crops_are_ready = False
    takes_one_crop = False
    rank_of_test_function = None
    rank_of_predict_function = None

    @property
    def input_channels(self) -> int:
        """Number of channels of its images: the encoder's, else the views'."""
        stated = channels_of(self.views) or channel_counts.RGB
        return networks.image_channels(self.encoder, stated)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of images, `(None, H, W, C)`.

        Height and width are those of training, None if no training has set
        them. Loggers show them; `predict` takes other sizes too.
        """
        size = getattr(self.views, "size", None)
        side = getattr(self, "image_size", None)
        return (None, *(size or (side, side)), self.input_channels)

    def build(self, input_shape: Any = None) -> None:
        """Does nothing, as the constructor has built the model."""
        self.built = True

    def build_state(self, labels: tf.TensorSpec | None = None) -> None:
        """Creates the optimizer's variables, under the model's strategy.

        Args:
            labels: `tf.TensorSpec` of the labels, or None if unknown.
        """
        del labels
        # By default, Keras 2.15 adds up the logs of all processes, which are
        # equal. Keras 3 does not read this.
        self.distribute_reduction_method = "first"
        with self.distribute_strategy.scope():
            compat.build_optimizer(self.optimizer, self.trainable_variables)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model with the configuration saved in its file."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        compat.build_optimizer(self.optimizer, self.trainable_variables)

    def predict(self, x: Any, *args, **kwargs) -> Any:
        """As `keras.Model.predict`; refuses pixels out of range.

        Raises:
            ValueError: `x` are `data.Batches` for training, not in order.
        """
        x = evaluating.for_predict(self, x, kwargs)
        return super().predict(x, *args, **kwargs)

    def step_logs(self, logs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Converts a step's logs, a dict of scalars, for Keras to reduce."""
        strategy = tf.distribute.get_strategy()
        if not compat.REDUCES_LOGS_OVER_AN_AXIS:
            return logs
        if not workers.spans_processes(strategy):
            return logs
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}

    def get_config(self) -> dict[str, Any]:
        """Arguments of the model, nested layers serialised."""
        nested = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in _NESTED
        }
        settings = {name: getattr(self, name) for name in self.settings}
        return {"name": self.name, **nested, **settings}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> TrainedModel:
        """Creates a model from the dict of `get_config`."""
        nested = {
            name: keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
            for name in _NESTED
        }
        layers = compat.flatten_layers(nested["encoder"])
        frozen = [not layer.trainable for layer in layers]
        model = cls(**{**config, **nested})
        # A constructor freezes by its arguments alone; layers may have been
        # frozen by hand.
        layers = compat.flatten_layers(model.encoder)
        if len(layers) == len(frozen):
            for layer, is_frozen in zip(layers, frozen):
                if is_frozen:
                    layer.trainable = False
        return model


def channels_of(views: Any) -> int | None:
    """Number of channels that views state; None if they state none.

    Args:
        views: `TwoViews`, `View`, another layer or None.
    """
    channels = getattr(views, "channels", None)
    return channels if isinstance(channels, int) else None


def supervised_head(num_classes: int) -> keras.layers.Dense:
    """The linear layer from features to logits `[B, num_classes]`, float32.

    Optimizers and the L2 penalty recognise it by its name.
    """
    return keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(0.0, 0.01),
        dtype="float32",
        name=SUPERVISED_HEAD,
    )


def copy_model(model: keras.Model, inputs: tf.Tensor) -> keras.Model:
    """Copies a model by its configuration and its weights.

    Args:
        model: `keras.Model`, perhaps a subclass that is not built yet.
        inputs: tensor with which it can be called.

    Raises:
        ValueError: the model does not round trip through its configuration.
    """
    if not model.built:
        model(inputs)
    try:
        copy = type(model).from_config(model.get_config())
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "the model must round trip through get_config and from_config to"
            f" be copied. Received: {model.name!r} of type"
            f" {type(model).__name__}, which failed with: {error}"
        ) from error
    if not copy.built or len(copy.weights) != len(model.weights):
        copy(inputs)  # Keras 3 marks a subclass as built before its layers
    copy.set_weights(model.get_weights())
    compat.refresh_statistics(copy)
    return copy
