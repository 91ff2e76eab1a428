"""Arrays, and pixels of another range, in `fit` over two replicas."""

import json
import sys

import numpy as np
import pytest

SCRIPT = """
import json
import sys

import keras
import numpy as np

import simclr_keras as sk

count = int(sys.argv[1])
images = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3))
images, labels = images.astype(np.uint8), np.arange(16) % 3
name = "mirrored" if count > 1 else "single"
cpus = {"logical_cpus": count} if count > 1 else {}
strategy = sk.training.choose_strategy(name, **cpus).strategy
keras.utils.set_random_seed(0)
with strategy.scope():
    model = sk.Classifier(sk.TinyResNet((4,)), 3)
    model.compile(
        keras.optimizers.SGD(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    other = sk.Classifier(sk.TinyResNet((4,)), 3)
    other.compile("sgd", "sparse_categorical_crossentropy")
evaluated = other.evaluate(images, labels, batch_size=8, verbose=0)
history = model.fit(
    images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0
).history
history = {name: values for name, values in history.items()}
try:
    floats = images.astype(np.float32)
    floats[:8] /= 255  # the second half of the batch, another replica's
    model.fit(
        floats[4:12], labels[:8], batch_size=8, shuffle=False, verbose=0
    )
    history["said"] = ""
except ValueError as error:
    history["said"] = str(error)
json.dump(history, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def histories(start, tmp_path_factory):
    found = []
    for count in (1, 2):
        path = tmp_path_factory.mktemp("arrays") / "history.json"
        ended = start([sys.executable, "-c", SCRIPT, count, path])
        assert ended.wait() == 0, ended.text()[-3000:]
        found.append(json.loads(path.read_text()))
    return found


def test_a_classifier_takes_arrays_on_two_replicas(histories):
    one, two = histories
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4)


def test_each_replica_sees_what_another_has(histories):
    """The pixels out of range lie on the second replica alone."""
    for history in histories:
        assert "values from 0 to 255" in history["said"]
