"""NT-Xent in tiles on several replicas against one whole matrix on one."""

import sys

import numpy as np
import pytest

SCRIPT = """
import sys

import numpy as np
import tensorflow as tf

from simclr_keras import contrastive
from simclr_keras.contrastive import blocks
from simclr_keras.contrastive import cross_replica
from simclr_keras.training import strategy

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


blocks.tile_bytes = lambda: 2**40
loss, gradient, metrics = loss_and_more(*tf.constant(hidden))
keep("one", metrics, loss=loss, gradient=gradient)

blocks.tile_bytes = lambda: 8 * 16 * 16


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
"""


@pytest.mark.parametrize("count", [2])
def test_tiles_on_replicas(start, tmp_path, count):
    """Loss, gradient through the gather and metrics, in float64.

    Of 21 images a replica, so that no tile of 16 views is filled.
    """
    output = tmp_path / "out.npz"
    run = start([sys.executable, "-c", SCRIPT, count, output])
    assert run.wait() == 0, run.text()[-3000:]
    results = np.load(output)
    names = {name.partition("_")[2] for name in results}
    assert {"loss", "gradient", "contrastive_entropy"} < names
    for name in names:
        expected = results[f"one_{name}"]
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(
            results[f"many_{name}"],
            expected,
            rtol=1e-12,
            atol=1e-12 * np.abs(expected).max(),
            err_msg=name,
        )
