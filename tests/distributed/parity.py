"""NT-Xent on replicas: `python parity.py FIXTURE COUNT FILE`."""

import json
import sys

import numpy as np
import tensorflow as tf

from simclr_keras import contrastive
from simclr_keras.contrastive import cross_replica
from simclr_keras.distribute import strategy


def step(hidden, loss, devices):
    """What each replica finds for its own of `hidden`, [R, 2N, d]."""

    def replica():
        context = tf.distribute.get_replica_context()
        own = hidden[context.replica_id_in_sync_group]
        with tf.GradientTape() as tape:
            tape.watch(own)
            z_a, z_b = tf.split(own, 2)
            everything = cross_replica.candidates(z_a, z_b)
            value = loss(z_a, z_b, **everything)
            mean = value / devices.num_replicas_in_sync
        metrics = contrastive.contrastive_metrics(
            z_a, z_b, loss.temperature, loss.normalize, **everything
        )
        return {
            "loss": value,
            "grad": tape.gradient(mean, own),
            "contrast_acc": metrics["contrastive_accuracy"],
            "contrast_entropy": metrics["contrastive_entropy"],
        }

    return tf.function(lambda: devices.run(replica))()


def main():
    """Computes the cases of that number of replicas."""
    fixture = np.load(sys.argv[1], allow_pickle=False)
    count = int(sys.argv[2])
    devices = strategy.choose("mirrored", logical_cpus=count).strategy
    results = {}
    for case in json.loads(str(fixture["cases_json"])):
        if case["R"] != count:
            continue
        hidden = tf.constant(fixture[case["case"] + "_hidden"])
        loss = contrastive.NTXent(
            case["temperature"], case["hidden_norm"], "sum"
        )
        for name, value in step(hidden, loss, devices).items():
            values = devices.experimental_local_results(value)
            results[case["case"] + "_" + name] = np.stack(values)
    np.savez(sys.argv[3], **results)


if __name__ == "__main__":
    main()
