"""Trains three epochs of eight steps; says every step, and in the end all bits.

    python stoppable.py RUN_DIRECTORY [STEP]

waits in that step until there is a file `go_on` beside the run directory.
"""

import hashlib
import pathlib
import sys
import time

import keras
import numpy as np

import simclr_keras as sk
from simclr_keras.training import state


class Tells(keras.callbacks.Callback):
    """Prints the number of each step."""

    def __init__(self, waits_in, for_file):
        super().__init__()
        self._waits_in, self._for_file = waits_in, for_file

    def on_train_batch_end(self, batch, logs=None):
        """Prints it, and waits."""
        step = int(self.model.optimizer.iterations)
        print("step", step, flush=True)
        while step == self._waits_in and not self._for_file.exists():
            time.sleep(0.01)


def main():
    """Trains."""
    directory = pathlib.Path(sys.argv[1])
    waits_in = int(sys.argv[2]) if len(sys.argv) > 2 else None
    keras.utils.set_random_seed(1)
    model = sk.SimCLR(
        sk.TinyResNet(channels=(4,)),
        sk.ProjectionHead(num_layers=1, out_dim=8),
        sk.TwoViews(16, jit=False, blur=False, color_strength=0.0),
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), sk.NTXent(0.5))
    images = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3))
    data = sk.data.load(images.astype(np.uint8), image_size=16, batch_size=8)
    model.fit(
        data,
        epochs=3,
        callbacks=[
            Tells(waits_in, directory.parent / "go_on"),
            *sk.training.callbacks(directory, log_every=2),
        ],
        verbose=0,
    )
    digest = hashlib.sha256()
    for name, value in state.read(model).items():
        digest.update(name.encode() + value.tobytes())
    print("digest", digest.hexdigest())


if __name__ == "__main__":
    main()
