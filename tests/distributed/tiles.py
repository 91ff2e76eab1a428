"""Losses in tiles, on replicas and on one: `python tiles.py COUNT FILE`."""

import sys

import numpy as np
import tensorflow as tf

from simclr_keras import contrastive
from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import cross_replica
from simclr_keras.distribute import strategy

count = int(sys.argv[1])
devices = strategy.choose("mirrored", logical_cpus=count).strategy
n, d = 21, 6
hidden = np.random.default_rng(0).normal(size=(2, count * n, d))
hidden[1] += hidden[0]
labels = np.arange(count * n) * 7 % 5
results = {}


def keep(kind, metrics, **values):
    values.update(metrics)
    for name, value in values.items():
        results[f"{kind}_{name}"] = np.array(value)


def loss_and_gradient(loss, z_a, z_b, **classes):
    with tf.GradientTape() as tape:
        tape.watch([z_a, z_b])
        candidates = cross_replica.candidates(z_a, z_b)
        value = loss(z_a, z_b, **candidates, **classes)
        mean = value / count if candidates else value
    return value, tf.stack(tape.gradient(mean, [z_a, z_b]))


def losses_and_metrics(z_a, z_b, classes):
    """Of NT-Xent and the supervised loss, stacked."""
    classes = cross_replica.labels_of_candidates(classes)
    losses, gradients = zip(
        loss_and_gradient(contrastive.NTXent(0.2), z_a, z_b),
        loss_and_gradient(
            contrastive.SupervisedContrastive(0.2), z_a, z_b, **classes
        ),
    )
    candidates = cross_replica.candidates(z_a, z_b)
    metrics = contrastive.contrastive_metrics(z_a, z_b, 0.2, **candidates)
    return tf.stack(losses), tf.stack(gradients), metrics


chunking.tile_bytes = lambda: 2**40
loss, gradient, metrics = losses_and_metrics(
    *tf.constant(hidden), tf.constant(labels)
)
keep("one", metrics, loss=loss, gradient=gradient)

chunking.tile_bytes = lambda: 8 * 16 * 16


@tf.function
def step():
    def replica():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        own = tf.slice(tf.constant(hidden), [0, number * n, 0], [2, n, d])
        classes = tf.slice(tf.constant(labels), [number * n], [n])
        return losses_and_metrics(*tf.unstack(own), classes)

    return devices.run(replica)


loss, gradient, metrics = tf.nest.map_structure(
    devices.experimental_local_results,
    step(),
)
keep(
    "many",
    {name: np.mean(values) for name, values in metrics.items()},
    loss=np.mean(loss, axis=0),
    gradient=np.concatenate(gradient, axis=2),
)
np.savez(sys.argv[2], **results)
