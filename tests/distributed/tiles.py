"""NT-Xent in tiles, on replicas and on one: `python tiles.py COUNT FILE`."""

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
results = {}


def keep(kind, metrics, **values):
    values.update(metrics)
    for name, value in values.items():
        results[f"{kind}_{name}"] = np.array(value)


def loss_and_more(z_a, z_b):
    with tf.GradientTape() as tape:
        tape.watch([z_a, z_b])
        everything = cross_replica.candidates(z_a, z_b)
        loss = contrastive.NTXent(0.2)(z_a, z_b, **everything)
        mean = loss / count if everything else loss
    gradient = tf.stack(tape.gradient(mean, [z_a, z_b]))
    metrics = contrastive.contrastive_metrics(z_a, z_b, 0.2, **everything)
    return loss, gradient, metrics


chunking.tile_bytes = lambda: 2**40
loss, gradient, metrics = loss_and_more(*tf.constant(hidden))
keep("one", metrics, loss=loss, gradient=gradient)

chunking.tile_bytes = lambda: 8 * 16 * 16


@tf.function
def step():
    def replica():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        own = tf.slice(tf.constant(hidden), [0, number * n, 0], [2, n, d])
        return loss_and_more(*tf.unstack(own))

    return devices.run(replica)


loss, gradient, metrics = tf.nest.map_structure(
    devices.experimental_local_results,
    step(),
)
keep(
    "many",
    {name: np.mean(values) for name, values in metrics.items()},
    loss=np.mean(loss),
    gradient=np.concatenate(gradient, axis=1),
)
np.savez(sys.argv[2], **results)
