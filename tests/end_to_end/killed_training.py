"""A training that says what it does, to be killed by the test beside it.

    python killed_training.py DIRECTORY SECONDS

64 steps in 8 epochs, with validation and kNN after each; SECONDS is how long
an array of a checkpoint takes to be written.
"""

import sys
import time

import keras
import numpy as np

import simclr_keras as sk
from simclr_keras import evaluation
from simclr_keras.training import checkpointing


def say(*words):
    """Tells the test."""
    print(*words, flush=True)


class Says(keras.callbacks.Callback):
    """Says each step and each batch of the validation."""

    def on_train_batch_end(self, batch, logs=None):
        """After a training step."""
        say("step", int(self.model.optimizer.iterations))

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of the validation."""
        say("validation")
        time.sleep(0.05)


class KNN(evaluation.KNNCallback):
    """Says that the kNN evaluation begins."""

    def on_epoch_end(self, epoch, logs=None):
        """After the validation."""
        say("knn")
        time.sleep(0.05)
        super().on_epoch_end(epoch, logs)


def slow_down(seconds):
    """Makes checkpoints slow to write, and says each array."""
    add = checkpointing._add

    def slow(archive, name, value):
        say("writing")
        time.sleep(seconds)
        add(archive, name, value)

    checkpointing._add = slow


def main(directory, seconds):
    """Trains, or goes on where an earlier training was killed."""
    if float(seconds):
        slow_down(float(seconds))
    keras.utils.set_random_seed(1)
    model = sk.SimCLR(
        sk.TinyResNet(channels=(4,)),
        sk.ProjectionHead("nonlinear", num_layers=2, out_dim=8),
        sk.TwoViews(16, jit=False, blur=False),
        num_classes=3,
    )
    schedule = sk.WarmupCosine(0.05, warmup_steps=8, total_steps=64)
    model.compile(sk.LARS(schedule), sk.NTXent(0.5))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 16, 16, 3)).astype(np.uint8)
    labels = rng.integers(0, 3, 64)
    data = sk.data.load(
        (images, labels), image_size=16, batch_size=8, labelled=True
    )
    held_out = sk.data.load(
        (images[:32], labels[:32]), batch_size=16, labelled=True, training=False
    )
    callbacks = sk.training.callbacks(
        directory, checkpoint_steps=3, keep=2, log_every=4
    )
    model.fit(
        data,
        epochs=8,
        validation_data=held_out,
        callbacks=[Says(), KNN(held_out, held_out, k=5), *callbacks],
        verbose=0,
    )
    say("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
