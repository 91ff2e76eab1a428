"""Serves where the package cannot be imported: `serve_plainly.py EXPORT`.

Reads `images.npz` in the working directory and writes `outputs.npz`.
"""

import sys

import numpy as np
import tensorflow as tf


class Forbidden:
    """Refuses to find the package."""

    def find_spec(self, name, path=None, target=None):
        """Raises for the package alone."""
        if name.split(".")[0] == "simclr_keras":
            raise ImportError(name + " must not be needed")


def main():
    """Serves each array of images."""
    sys.meta_path.insert(0, Forbidden())
    images = np.load("images.npz")
    serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
    outputs = {}
    for key in images.files:
        for name, value in serve(images=tf.constant(images[key])).items():
            outputs[key + "_" + name] = value.numpy()
    np.savez("outputs.npz", **outputs)


if __name__ == "__main__":
    main()
