"""Asks an export thousands of times, in plain TensorFlow: `ask.py PATH COUNT`.

Mixed signatures, sizes and batch sizes, bad bytes between.
"""

import json
import sys

import numpy as np
import tensorflow as tf


def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def _images(rng):
    """40 of them, as arrays and as files."""
    images, encoded = [], []
    for height, width in rng.integers(8, 120, (40, 2)):
        images.append(rng.integers(0, 256, (height, width, 3), np.uint8))
        encode = tf.io.encode_jpeg if height % 2 else tf.io.encode_png
        encoded.append(encode(images[-1]).numpy())
    return images, encoded


def main():
    """Asks; prints what was answered, and the memory after each fifth."""
    requests = int(sys.argv[2])
    signatures = tf.saved_model.load(sys.argv[1]).signatures
    rng = np.random.default_rng(0)
    images, encoded = _images(rng)
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
        assert p.shape == (count, 3)
        assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
        answered += 1
        if (number + 1) % (requests // 5) == 0:
            seen.append(_resident())
    found = {"refused": refused, "answered": answered, "seen": seen}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
