"""Batch norm on two replicas and on one: `python normalization.py FILE`."""

import sys

import numpy as np
import tensorflow as tf

from simclr_keras.distribute import strategy
from simclr_keras.networks import BatchNormalization

COUNT = 2
mirrored = strategy.choose("mirrored", logical_cpus=COUNT).strategy
rng = np.random.default_rng(0)
GAMMA, BETA = 1 + 0.1 * rng.normal(size=5), 0.1 * rng.normal(size=5)


def normalise(x, dy, dtype, devices, frozen=False):
    # Output, gradients of x, gamma, beta, and moving statistics after.
    with devices.scope():
        norm = BatchNormalization(dtype=dtype)
        norm.build((None, *x.shape[1:]))
        norm.set_weights([GAMMA, BETA, 0 * BETA, 1 + 0 * BETA])
        norm.trainable = not frozen
    compute = "bfloat16" if dtype == "mixed_bfloat16" else dtype
    count = devices.num_replicas_in_sync
    x, dy = (tf.split(tf.cast(v, compute), count) for v in (x, dy))

    @tf.function
    def step():
        def replica():
            context = tf.distribute.get_replica_context()
            own = context.replica_id_in_sync_group
            rows = tf.stack(x)[own]
            with tf.GradientTape() as tape:
                tape.watch(rows)
                y = norm(rows, training=True)
                value = tf.reduce_sum(
                    tf.cast(y, tf.float64)
                    * tf.cast(tf.stack(dy)[own], tf.float64)
                )
            if frozen:
                return y, tape.gradient(value, rows)
            return y, *tape.gradient(value, [rows, *norm.trainable_weights])

        return devices.run(replica)

    result = []
    for place, value in enumerate(step()):
        parts = devices.experimental_local_results(value)
        parts = [tf.cast(part, tf.float64).numpy() for part in parts]
        result.append(np.concatenate(parts) if place < 2 else sum(parts))
    return [*result, *(np.array(w) for w in norm.get_weights()[-2:])]


results = {}
for shape in ((8, 3, 4, 5), (8, 5)):
    for mean in (2.0, 1000.0):
        x, dy = rng.normal(mean, 3, shape), rng.normal(size=shape)
        for dtype in ("float64", "float32", "mixed_bfloat16"):
            # The exact answer for the numbers that the layer sees.
            low = "bfloat16" if dtype == "mixed_bfloat16" else dtype
            seen = [
                tf.cast(tf.cast(v, low), tf.float64).numpy() for v in (x, dy)
            ]
            one = normalise(*seen, "float64", tf.distribute.get_strategy())
            two = normalise(x, dy, dtype, mirrored)
            own = one
            if dtype != "float64":
                own = normalise(x, dy, dtype, tf.distribute.get_strategy())
            for place, values in enumerate(zip(one, two, own)):
                name = f"{len(shape)}-{mean:.0f}-{dtype}-{place}"
                results[name] = np.stack(values)
        frozen = [
            normalise(x, dy, "float32", devices, frozen=True)
            for devices in (tf.distribute.get_strategy(), mirrored)
        ]
        results[f"{len(shape)}-{mean:.0f}-frozen"] = np.stack(
            [values[1] for values in frozen]
        )
np.savez(sys.argv[1], **results)
