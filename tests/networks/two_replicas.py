"""Networks on two logical CPUs, checked here: `python two_replicas.py`."""

import tempfile

import keras
import numpy as np
import tensorflow as tf

from simclr_keras.distribute import strategy
from simclr_keras.networks import BatchNormalization
from simclr_keras.networks import ProjectionHead
from simclr_keras.networks import TinyResNet


def check_statistics(devices):
    """Each replica updates its own statistics; outside, they are averaged."""
    x = np.random.default_rng(0).normal(2, 3, (8, 5)).astype("float32")
    with devices.scope():
        norm = BatchNormalization(synchronized=False)
        model = keras.Sequential([norm])
        model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    # Two steps; the replicas get rows 0-1 and 2-3 of each four.
    data = tf.data.Dataset.from_tensor_slices((x, x))
    model.fit(data.batch(4, drop_remainder=True), verbose=0)
    means, variances = np.zeros((2, 5)), np.ones((2, 5))
    for batch in (x[:4], x[4:]):
        for replica, rows in enumerate((batch[:2], batch[2:])):
            means[replica] = 0.9 * means[replica] + 0.1 * rows.mean(0)
            variances[replica] = 0.9 * variances[replica] + 0.1 * rows.var(0)
    mean, variance = means.mean(0), variances.mean(0)
    np.testing.assert_allclose(norm.get_weights()[2], mean, rtol=1e-5)
    np.testing.assert_allclose(norm.get_weights()[3], variance, rtol=1e-5)
    saved = model.get_weights()
    model.set_weights([np.full_like(w, 7) for w in saved])
    model.set_weights(saved)
    np.testing.assert_allclose(norm.get_weights()[3], variance, rtol=1e-5)
    checkpoint = tf.train.Checkpoint(model=model)
    model.predict(x, batch_size=4, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint.save(folder + "/ckpt")
        model.set_weights([np.full_like(w, 7) for w in saved])
        checkpoint.restore(path)
    for weight, expected in zip(model.get_weights(), saved):
        np.testing.assert_allclose(weight, expected, rtol=1e-6)


def check_networks(devices):
    """Encoder and head train, and both replicas have the same weights."""
    with devices.scope():
        inputs = keras.Input((16, 16, 3))
        encoder = TinyResNet((4,))
        outputs = ProjectionHead(num_layers=2, out_dim=4)(encoder(inputs))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
    images = np.random.default_rng(1).random((8, 16, 16, 3), "float32")
    before = encoder.get_weights()
    loss = model.fit(images, np.ones((8, 4)), batch_size=8, verbose=0)
    assert np.all(np.isfinite(loss.history["loss"])), loss.history
    after = encoder.get_weights()
    assert any(np.any(a != b) for a, b in zip(before, after))
    for variable in model.trainable_variables:
        # Keras 3 wraps TensorFlow's variable.
        mirrored = variable if hasattr(variable, "values") else variable.value
        first, second = devices.experimental_local_results(mirrored)
        np.testing.assert_array_equal(first, second)


def main():
    """Runs both checks."""
    devices = strategy.choose("mirrored", logical_cpus=2).strategy
    check_statistics(devices)
    check_networks(devices)
    print("done")


if __name__ == "__main__":
    main()
