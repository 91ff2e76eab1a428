"""The official implementation's losses and gradients on several replicas."""

import json
import sys

import numpy as np
import pytest

SCRIPT = """
import json
import sys

import numpy as np
import tensorflow as tf

from simclr_keras import contrastive
from simclr_keras.contrastive import cross_replica
from simclr_keras.training import strategy

fixture = np.load(sys.argv[1], allow_pickle=False)
count = int(sys.argv[2])
devices = strategy.choose("mirrored", logical_cpus=count).strategy
results = {}
for case in json.loads(str(fixture["cases_json"])):
    if case["R"] != count:
        continue
    hidden = tf.constant(fixture[case["case"] + "_hidden"])  # [R, 2N, d]
    loss = contrastive.NTXent(case["temperature"], case["hidden_norm"], "sum")

    @tf.function
    def step():
        def replica():
            context = tf.distribute.get_replica_context()
            own = hidden[context.replica_id_in_sync_group]
            with tf.GradientTape() as tape:
                tape.watch(own)
                z_a, z_b = tf.split(own, 2)
                everything = cross_replica.candidates(z_a, z_b)
                value = loss(z_a, z_b, **everything)
                mean = value / count
            metrics = contrastive.contrastive_metrics(
                z_a, z_b, loss.temperature, loss.normalize, **everything
            )
            return {
                "loss": value,
                "grad": tape.gradient(mean, own),
                "contrast_acc": metrics["contrastive_accuracy"],
                "contrast_entropy": metrics["contrastive_entropy"],
            }

        return devices.run(replica)

    for name, value in step().items():
        values = devices.experimental_local_results(value)
        results[case["case"] + "_" + name] = np.stack(values)
np.savez(sys.argv[3], **results)
"""


@pytest.mark.parametrize("count", [2, 4])
def test_nt_xent_over_replicas(parity, start, tmp_path, count):
    """Loss, gradient through the gather, accuracy, entropy: rel. 1e-5."""
    path, output = parity("ntxent_replicas.npz"), tmp_path / "out.npz"
    run = start([sys.executable, "-c", SCRIPT, path, count, output])
    assert run.wait() == 0, run.text()[-3000:]
    fixture, result = np.load(path, allow_pickle=False), np.load(output)
    cases = json.loads(str(fixture["cases_json"]))
    names = {case["case"] for case in cases if case["R"] == count}
    assert len(names) >= 2
    for case in names:
        for name in ("loss", "grad", "contrast_acc", "contrast_entropy"):
            expected = fixture[f"{case}_{name}"]
            np.testing.assert_allclose(
                result[f"{case}_{name}"],
                expected,
                rtol=1e-5,
                atol=1e-5 * np.abs(expected).max(),
                err_msg=f"{case} {name}",
            )
