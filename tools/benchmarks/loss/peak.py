"""Memory that one run takes: of this process, beyond what it held before.

python -m benchmarks.loss.peak KIND IMAGES

prints the number of bytes, on a GPU those of its memory.
"""

import pathlib
import resource
import sys

import tensorflow as tf

from benchmarks.loss import losses


def main(kind, images):
    """Measures one kind."""
    losses.make(kind, 8)()  # what it needs for any batch
    run = losses.make(kind, int(images))
    before = _peak_bytes()
    run()
    print(_peak_bytes() - before)


def _peak_bytes():
    if tf.config.list_logical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    path = pathlib.Path("/proc/self/status")
    if path.exists():
        # Not the resource module's number: on Linux a process begins with
        # that of the one which started it.
        for line in path.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(*sys.argv[1:])
