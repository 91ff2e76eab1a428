"""LARS on one device and on two replicas, which agree: `two_replicas.py`."""

import keras
import numpy as np
import tensorflow as tf

from simclr_keras.distribute import strategy
from simclr_keras.optimizers import LARS
from simclr_keras.optimizers import WarmupCosine

ROWS = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)


def train(devices):
    """Four steps; the weights and momenta after them."""
    with devices.scope():
        layer = keras.layers.Dense(2, kernel_initializer="ones")
        layer.build([None, 3])
        optimizer = LARS(WarmupCosine(9.0, 1, 9), weight_decay=0.1)
        optimizer.build(layer.trainable_variables)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x) ** 2) / 8
        variables = layer.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables))

    parts = tf.split(tf.reshape(ROWS, [8, 3]), devices.num_replicas_in_sync)
    for _ in range(4):
        values = devices.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )
        devices.run(step, args=(values,))
    state = layer.trainable_variables + list(optimizer._momenta)
    return [np.array(v) for v in state]


def main():
    """Trains both ways."""
    mirrored = strategy.choose("mirrored", logical_cpus=2).strategy
    one = train(tf.distribute.OneDeviceStrategy("/cpu:0"))
    two = train(mirrored)
    assert np.abs(one[0] - 1).max() > 0.01, one[0]
    for a, b in zip(one, two):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    print("agree")


if __name__ == "__main__":
    main()
