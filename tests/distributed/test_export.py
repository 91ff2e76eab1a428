"""Export of what was trained on several replicas, to one that knows of none."""

import subprocess
import sys

import numpy as np
import pytest

TRAIN = """
import sys
import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
import simclr_keras as sk

keras.utils.set_random_seed(0)
keras.mixed_precision.set_global_policy(sys.argv[1])
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (16, 16, 16, 3), np.uint8)
data = tf.data.Dataset.from_tensor_slices((images, np.arange(16) % 3))
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = sk.Classifier(sk.TinyResNet((4, 8)), 3, image_size=16)
    model.compile(
        keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy"
    )
start = model(images)
model.fit(data.batch(8, drop_remainder=True), epochs=3, verbose=0)
sk.export(model, "export", precision="as_trained")
h, p = tf.cast(model.embed(images), tf.float32), model(images)
assert np.abs(p - start).max() > 0.01  # it has learned on both
np.savez("expected.npz", images=images, embedding=h, probabilities=p)
"""

SERVE = """
import numpy as np
import tensorflow as tf

expected = dict(np.load("expected.npz"))
serve = tf.saved_model.load("export/1").signatures["serving_default"]
served = serve(images=tf.constant(expected["images"]))
np.savez("served.npz", **{name: v.numpy() for name, v in served.items()})
"""

GO_ON = """
import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
import simclr_keras as sk

expected = dict(np.load("expected.npz"))
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    parts = sk.load("export")
    h = parts.model.embed(expected["images"])
    np.testing.assert_allclose(h, expected["embedding"], atol=1e-5)
    model = sk.Classifier(parts.encoder, 5)
    model.compile("sgd", loss="sparse_categorical_crossentropy")
images = expected["images"].repeat(2, axis=1).repeat(2, axis=2)
data = tf.data.Dataset.from_tensor_slices((images, np.arange(16) % 5))
loss = model.fit(data.batch(8, drop_remainder=True), verbose=0).history["loss"]
assert np.isfinite(loss).all()
"""


def _run(folder, code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_trained_on_two_replicas_and_served_by_tensorflow_alone(
    policy, tmp_path
):
    """In bfloat16 within its rounding, 2^-8 of the largest value."""
    _run(tmp_path, TRAIN, policy)
    _run(tmp_path, SERVE)
    expected, served = (
        dict(np.load(tmp_path / name))
        for name in ("expected.npz", "served.npz")
    )
    for name in ("embedding", "probabilities"):
        tolerance = 1e-5
        if policy != "float32":
            tolerance = 2**-8 * np.abs(expected[name]).max()
        np.testing.assert_allclose(served[name], expected[name], atol=tolerance)
    if policy == "float32":
        # Taken up again on replicas, with other classes and larger images.
        _run(tmp_path, GO_ON)
