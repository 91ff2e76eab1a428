"""A small training on any strategy, run as a process by the tests beside it.

    python training.py DIRECTORY '{"replicas": [1, 2], "variants": {...}}'

writes `<variant>-<replicas>.npz` to the directory; without `replicas`, as one
of the workers that TF_CONFIG names, `<variant>-workers.npz`.
"""

import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.distribute import strategy

DEFAULTS = {
    "dtype": "float64",
    "channels": [4],
    "validation": False,
    "batch": 24,
    "steps": 20,
    "global_bn": True,
    "loss": "nt_xent",
    "optimizer": "lars",
    "labelled": False,
    "learning_rate": 0.3,
    "model": "simclr",
    "micro_batch": None,
    "adds_loss": False,
}
IMAGES = 96


class Losses(keras.callbacks.Callback):
    """The loss of every step: Keras logs the mean over the epoch so far."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_epoch_begin(self, epoch, logs=None):
        """Starts a new mean."""
        self._sum, self._count = 0.0, 0

    def on_train_batch_end(self, batch, logs=None):
        """Takes the step's own loss out of the mean."""
        total = float(logs["loss"]) * (self._count + 1)
        self.losses.append(total - self._sum)
        self._sum, self._count = total, self._count + 1


def _images():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, 16, 16, 3), dtype=np.uint8)
    return images, np.arange(IMAGES) % 4


class AddsLoss(keras.layers.Layer):
    """Adds the mean square of features to the loss, and has an L2 penalty."""

    def build(self, input_shape):
        """Creates the weights that features are multiplied by."""
        self.scale = self.add_weight(
            name="scale",
            shape=(input_shape[-1],),
            initializer="ones",
            regularizer=keras.regularizers.L2(0.1),
        )

    def call(self, inputs):
        """Multiplies features `[B, C]`."""
        self.add_loss(0.1 * tf.reduce_mean(tf.square(inputs)))
        return inputs * self.scale


def _simclr(settings):
    head = {"global_bn": settings["global_bn"], "dtype": settings["dtype"]}
    encoder = sk.TinyResNet(settings["channels"], **head)
    if settings["adds_loss"]:
        added = AddsLoss(dtype=settings["dtype"])
        encoder = keras.Sequential(
            [keras.Input((None, None, 3)), encoder, added]
        )
    return sk.SimCLR(
        encoder,
        sk.ProjectionHead(num_layers=2, out_dim=8, **head),
        sk.TwoViews(16, jit=False),
        num_classes=4 if settings["labelled"] else None,
        l2=1e-3,
        micro_batch_size=settings["micro_batch"],
    )


def _classifier(settings):
    encoder = sk.TinyResNet((4,), global_bn=settings["global_bn"])
    return sk.Classifier(encoder, 4, views=sk.View(16), l2=1e-3)


def _set_weights(model):
    """The same first weights in every precision and on every stack."""
    rng = np.random.default_rng(1)
    weights = [
        rng.normal(size=w.shape) / np.sqrt(max(1, np.prod(w.shape[:-1])))
        if w.ndim > 1
        else w
        for w in model.get_weights()
    ]
    model.set_weights(weights)


def _of_a_user(z_a, z_b):
    """A loss that knows nothing of replicas: distance over spread."""
    together = tf.reduce_mean(tf.square(z_a - z_b))
    spread = tf.reduce_mean(tf.math.reduce_variance(z_a + z_b, axis=0))
    return together / (spread + 0.1)


def _compile(model, settings):
    schedule = sk.WarmupCosine(settings["learning_rate"], 2, settings["steps"])
    kernels = settings["optimizer"] in ("lars", "lamb")
    optimizer = sk.optimizers.create_optimizer(
        settings["optimizer"], schedule, weight_decay=1e-4 * kernels
    )
    if settings["model"] == "classifier":
        model.compile(
            optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
    else:
        loss = _of_a_user
        if settings["loss"] != "user":
            loss = sk.contrastive.make_loss(
                settings["loss"], temperature=0.5, semi_hard=False
            )
        model.compile(optimizer, loss)


def train(settings, devices):
    """Trains; returns the model, the loss of each step and the last logs."""
    labelled = settings["labelled"] or settings["model"] == "classifier"
    with devices.scope():
        keras.utils.set_random_seed(0)
        make = {"simclr": _simclr, "classifier": _classifier}
        model = make[settings["model"]](settings)
        _set_weights(model)
        _compile(model, settings)
    data = sk.data.load(
        _images(),
        image_size=16,
        batch_size=settings["batch"],
        labelled=labelled,
        views=1 if settings["model"] == "classifier" else 2,
    )
    losses = Losses()
    validation = {}
    if settings["validation"]:
        validation = {
            "validation_data": sk.data.load(
                _images(),
                image_size=16,
                batch_size=settings["batch"],
                labelled=labelled,
                training=False,
            )
        }
    history = model.fit(
        data,
        epochs=settings["steps"] * settings["batch"] // IMAGES,
        verbose=0,
        callbacks=[losses],
        **validation,
    ).history
    return model, losses.losses, history


def _write(path, model, losses, history):
    names = sorted(name for name, values in history.items() if len(values))
    arrays = {f"weight{i:03d}": w for i, w in enumerate(model.get_weights())}
    arrays["losses"] = np.array(losses)
    for name in names:
        arrays[f"log_{name}"] = np.array(history[name])
    np.savez(path, **arrays)


def _devices(count):
    if count == 1:
        return tf.distribute.get_strategy()
    cpus = [f"CPU:{number}" for number in range(count)]
    return tf.distribute.MirroredStrategy(cpus)


def main():
    """Trains as told and writes what came out, of processes the chief."""
    output, order = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
    counts = order.get("replicas")
    if counts:
        strategy.choose("single", logical_cpus=max(counts))
        # Made once: TensorFlow confuses the collectives of two strategies.
        devices = {count: _devices(count) for count in counts}
    else:
        choice = strategy.choose("multi_worker")
    for name, changes in order["variants"].items():
        settings = {**DEFAULTS, **changes}
        if not counts:
            result = train(settings, choice.strategy)
            if choice.chief:
                _write(output / f"{name}-workers.npz", *result)
        for count in counts or ():
            result = train(settings, devices[count])
            _write(output / f"{name}-{count}.npz", *result)


if __name__ == "__main__":
    main()
