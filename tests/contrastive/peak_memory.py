"""Prints as JSON how many bytes each function on a batch adds to the peak.

To be run in a process of its own, with the images of the batch and the bytes
of a tile as arguments.
"""

import ctypes
import json
import sys

import tensorflow as tf

from simclr_keras import contrastive
from simclr_keras.contrastive import chunking


def peak():
    """Bytes of resident memory that this process has had at most."""
    with open("/proc/self/status") as lines:
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def loss_and_gradient(z_a, z_b):
    """NT-Xent and its gradient by both views."""
    with tf.GradientTape() as tape:
        tape.watch([z_a, z_b])
        loss = contrastive.NTXent()(z_a, z_b)
    return loss, tape.gradient(loss, [z_a, z_b])


def main(images, tile_bytes):
    """Measures, one function after the other."""
    # What is freed goes back to the system at once, from 64 KiB on.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**16)
    chunking.tile_bytes = lambda: tile_bytes
    functions = {
        "metrics": tf.function(contrastive.contrastive_metrics),
        "health": tf.function(contrastive.representation_health),
        "graph": tf.function(loss_and_gradient),
        "eager": loss_and_gradient,
    }
    for function in functions.values():  # what each needs besides the rows
        function(*tf.random.normal([2, 8, 128]))
    z_a, z_b = tf.random.normal([2, images, 128])
    before, grown = peak(), {}
    for name, function in functions.items():
        function(z_a, z_b)
        grown[name] = peak() - before
    print(json.dumps(grown))


M_MMAP_THRESHOLD = -3  # of glibc's malloc.h

if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
