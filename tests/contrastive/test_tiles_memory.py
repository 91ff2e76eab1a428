"""Memory of NT-Xent and of what is logged beside it, in a large batch."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

MEMORY = """
import json
import sys

import tensorflow as tf

from simclr_keras import contrastive


def peak():
    with open("/proc/self/status") as lines:
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def loss_and_gradient(z_a, z_b):
    with tf.GradientTape() as tape:
        tape.watch([z_a, z_b])
        loss = contrastive.NTXent()(z_a, z_b)
    return loss, tape.gradient(loss, [z_a, z_b])


functions = {
    "metrics": tf.function(contrastive.contrastive_metrics),
    "health": tf.function(contrastive.representation_health),
    "graph": tf.function(loss_and_gradient),
    "eager": loss_and_gradient,
}
for function in functions.values():  # what each needs besides the rows
    function(*tf.random.normal([2, 8, 128]))
z_a, z_b = tf.random.normal([2, int(sys.argv[1]), 128])
before, grown = peak(), {}
for name, function in functions.items():
    function(z_a, z_b)
    grown[name] = peak() - before
print(json.dumps(grown))
"""


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/status").exists(), reason="needs /proc"
)
def test_memory_does_not_grow_with_the_square():
    """4096 images, on a CPU.

    Tiles are of 16 MiB, of which five exist at once in a graph (products, what
    a mask leaves of them, two exponentials, their sum) and up to ten where
    Python's names hold on to them. Rows of both views are of 4 MiB: as given
    and normalised, scaled, cut, and their gradients; sixteen cover these. One
    float32 matrix of all logits would be 256 MiB. The metrics are worked out
    first, from several matrices of 64 MiB if these were whole. The allocator
    returns what is freed at once: how much it would keep, by thread, differs
    between kinds of processors.
    """
    bound = 10 * 2**24 + 16 * 2**22
    assert bound < 4 * (2 * 4096) ** 2
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, "4096"],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    grown = json.loads(run.stdout.splitlines()[-1])
    for name, growth in grown.items():
        assert 0 < growth < bound, f"{name}: {growth / 2**20:.0f} MiB"
