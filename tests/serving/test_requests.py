"""Thousands of requests to an exported model, as a server would make them."""

import json
import pathlib
import subprocess
import sys

import keras
import pytest

import simclr_keras as sk

# Plain TensorFlow: mixed signatures, sizes and batch sizes, bad bytes between.
ASK = """
import json
import sys

import numpy as np
import tensorflow as tf

requests = int(sys.argv[2])
signatures = tf.saved_model.load(sys.argv[1]).signatures
rng = np.random.default_rng(0)
images, encoded = [], []
for height, width in rng.integers(8, 120, (40, 2)):
    images.append(rng.integers(0, 256, (height, width, 3), np.uint8))
    encode = tf.io.encode_jpeg if height % 2 else tf.io.encode_png
    encoded.append(encode(images[-1]).numpy())


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


refused, answered, seen = 0, 0, []
for number in range(requests):
    count = int(rng.integers(1, 9))
    if number % 3 == 0:
        batch = np.stack([images[number % 40]] * count)
        outputs = signatures["serving_default"](images=tf.constant(batch))
    else:
        chosen = [encoded[i] for i in rng.integers(0, 40, count)]
        name = "serve_encoded" if number % 3 == 1 else "classify"
        if number % 50 == 1:
            chosen[-1] = chosen[-1][: len(chosen[-1]) // 2]
            try:
                signatures[name](encoded=tf.constant(chosen))
            except tf.errors.InvalidArgumentError:
                refused += 1
            continue
        outputs = signatures[name](encoded=tf.constant(chosen))
    p = outputs["probabilities"].numpy()
    assert p.shape == (count, 3) and np.allclose(p.sum(axis=1), 1, atol=1e-5)
    answered += 1
    if (number + 1) % (requests // 5) == 0:
        seen.append(resident())
print(json.dumps({"refused": refused, "answered": answered, "seen": seen}))
"""


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/statm").exists(), reason="Linux tells memory"
)
def test_memory_does_not_grow_with_requests(tmp_path):
    """After the first fifth, which fills buffers, by less than 1 kB each.

    What is traced anew, or kept of a request, takes more.
    """
    keras.utils.set_random_seed(0)
    model = sk.Classifier(sk.TinyResNet((4, 8)), 3, image_size=32)
    path = sk.export(model, tmp_path / "export")
    requests = 10_000
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(path), str(requests)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["refused"] + found["answered"] == requests
    assert found["refused"] > requests / 100
    growth = max(found["seen"][1:]) - found["seen"][0]
    assert growth < 0.8 * requests * 1000
