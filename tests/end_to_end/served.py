"""Serves an export as a stranger would: by TensorFlow, without the package.

    python served.py EXPORT DIRECTORY

reads `images.npy` of the directory and writes the outputs to `out.npz` in it.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf


class NotImportable:
    """Finds no module of the package, whatever has been imported before."""

    def find_spec(self, name, path=None, target=None):
        """Refuses the package."""
        if name.split(".")[0] == "simclr_keras":
            raise ImportError("an export must not need the package")


def main(export, directory):
    """Answers one request."""
    for name in [n for n in sys.modules if n.startswith("simclr_keras")]:
        del sys.modules[name]
    sys.meta_path.insert(0, NotImportable())
    directory = pathlib.Path(directory)
    serve = tf.saved_model.load(export).signatures["serving_default"]
    out = serve(tf.constant(np.load(directory / "images.npy")))
    np.savez(directory / "out.npz", **{k: v.numpy() for k, v in out.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
