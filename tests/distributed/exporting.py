"""Trains on two replicas and exports, and goes on from the export.

python exporting.py train|go_on FOLDER
"""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.distribute import strategy


def train(folder, policy, replicas):
    """Trains in a precision; exports, and writes what the model then says."""
    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_global_policy(policy)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 16, 16, 3), np.uint8)
    data = tf.data.Dataset.from_tensor_slices((images, np.arange(16) % 3))
    with replicas.scope():
        model = sk.Classifier(sk.TinyResNet((4,)), 3, image_size=16)
        model.compile(
            keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy"
        )
    start = model(images)
    model.fit(data.batch(8, drop_remainder=True), epochs=3, verbose=0)
    sk.export(model, folder / "export", precision="as_trained")
    h, p = tf.cast(model.embed(images), tf.float32), model(images)
    assert np.abs(p - start).max() > 0.01  # it has learned on both
    np.savez(
        folder / "expected.npz", images=images, embedding=h, probabilities=p
    )


def go_on(folder, replicas):
    """Fine-tunes what was exported in float32."""
    expected = dict(np.load(folder / "expected.npz"))
    with replicas.scope():
        parts = sk.load(folder / "export")
        h = parts.model.embed(expected["images"])
        np.testing.assert_allclose(h, expected["embedding"], atol=1e-5)
        model = sk.Classifier(parts.encoder, 5)
        model.compile("sgd", loss="sparse_categorical_crossentropy")
    images = expected["images"].repeat(2, axis=1).repeat(2, axis=2)
    data = tf.data.Dataset.from_tensor_slices((images, np.arange(16) % 5))
    history = model.fit(data.batch(8, drop_remainder=True), verbose=0).history
    assert np.isfinite(history["loss"]).all()


def main():
    """Does what it is told."""
    folder = pathlib.Path(sys.argv[2])
    replicas = strategy.choose("mirrored", logical_cpus=2).strategy
    if sys.argv[1] == "go_on":
        go_on(folder / "float32", replicas)
        return
    for policy in ("float32", "mixed_bfloat16"):
        (folder / policy).mkdir()
        train(folder / policy, policy, replicas)


if __name__ == "__main__":
    main()
