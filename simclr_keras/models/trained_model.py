"""Gives the two models what they share: state, logs and configuration."""

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.distribute import workers
from simclr_keras.models import fitting

_NESTED = ("encoder", "projection_head", "views")


class TrainedModel(compat.BuildsItself):
    """Base of `SimCLR` and `Classifier`, trained under any strategy.

    Attributes:
        settings: names of the arguments that are no layers, which are
            attributes too; a subclass lists its own.
        fit_position: `FitPosition` of the `fit` that runs, or of the last one.
        crops_are_ready: whether the images of the `fit` are crops already,
            made on the host.
    """

    settings = ()
    fit_position = None
    crops_are_ready = False

    def build(self, input_shape=None):
        """Does nothing: the model is built when it is made."""
        self.built = True

    def build_state(self, labels=None):
        """Creates the optimizer's variables, under the model's strategy.

        Args:
            labels: `tf.TensorSpec` of the labels, or None where unknown.
        """
        del labels
        # Keras 2.15 would add up the logs of all processes, which are the
        # same; Keras 3 does not look at it.
        self.distribute_reduction_method = "first"
        with self.distribute_strategy.scope():
            compat.build_optimizer(self.optimizer, self.trainable_variables)

    def compile_from_config(self, config):
        """Compiles a loaded model with the configuration saved in its file."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        compat.build_optimizer(self.optimizer, self.trainable_variables)

    def predict(self, x, *args, **kwargs):
        """As `keras.Model.predict`; refuses pixels out of range."""
        fitting.watch_pixels(kwargs)
        x = fitting.as_dataset(self, x)
        return super().predict(x, *args, **kwargs)

    def step_logs(self, logs):
        """Logs of a step, a dict of scalars, such that Keras can reduce it."""
        strategy = tf.distribute.get_strategy()
        if not compat.REDUCES_LOGS_OVER_AN_AXIS:
            return logs
        if not workers.spans_processes(strategy):
            return logs
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}

    def get_config(self):
        """Arguments of the model, nested layers serialised."""
        nested = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in _NESTED
        }
        settings = {name: getattr(self, name) for name in self.settings}
        return {"name": self.name, **nested, **settings}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Model from the dict of `get_config`."""
        nested = {
            name: keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
            for name in _NESTED
        }
        return cls(**{**config, **nested})


def copy_model(model, inputs):
    """A copy of a model: made from its configuration, with its weights.

    Args:
        model: `keras.Model`, perhaps a subclass that nothing has built.
        inputs: tensor by which it can be called.

    Raises:
        ValueError: it does not round trip through its configuration.
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
        copy(inputs)  # Keras 3 calls a subclass built whose layers are not
    copy.set_weights(model.get_weights())
    return copy
