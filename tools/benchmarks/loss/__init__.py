"""Suite loss: what NT-Xent costs, in tiles and as a whole, and beside peers.

Forward and back, of two views of N images as one replica has them. All kinds
are measured in turn in one process; how much memory each takes, in a process
of its own.
"""

import json
import subprocess
import sys

from benchmarks import Failure
from benchmarks import measure
from benchmarks import options as flags
from benchmarks.loss import losses
from benchmarks.loss import tables

_DEFAULT = (512, 2048, 8192, 65536)
# Beyond, the whole matrix takes tens of GB and a run minutes: tiles only, once.
_LARGE = 16384


def define_flags(parser):
    """Adds the flags of this suite."""
    parser.add_argument(
        "--images",
        action="append",
        type=flags.count,
        metavar="N",
        help="N of a batch; may be repeated; default:"
        f" {', '.join(map(str, _DEFAULT))}",
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=losses.KINDS,
        help="what to measure; may be repeated; default: all that is installed",
    )
    parser.add_argument(
        "--repeats",
        type=flags.count,
        metavar="N",
        default=5,
        help="how often all is measured in turn; default: 5",
    )


def run(options):
    """Measures; returns what the JSON file holds."""
    return {
        "batches": [
            _measure(
                images, options.kind or losses.available(), options.repeats
            )
            for images in options.images or _DEFAULT
        ]
    }


def report(results):
    """The Markdown of what `run` returned."""
    return tables.report(results)


def _measure(images, kinds, repeats):
    """Everything about one size of batch."""
    warm_up = True
    if images > _LARGE:
        kinds, repeats, warm_up = ("tiles",), 1, False
    measure.say(f"N = {images}: tracing")
    runs = {kind: losses.make(kind, images) for kind in kinds}
    if warm_up:
        for one in runs.values():
            one()
    subjects = {kind: _timed(one) for kind, one in runs.items()}
    seconds = measure.alternate(subjects, repeats, f"N = {images}")
    del runs, subjects
    peaks = {}
    for kind in kinds:
        measure.say(f"N = {images}: memory of {kind}")
        peaks[kind] = _peak(kind, images)
    return {
        "images": images,
        "repeats": repeats,
        "chosen": losses.chosen(images),
        "seconds": seconds,
        "peak_bytes": peaks,
    }


def _timed(one):
    """A subject of `measure.alternate`: one run."""

    def run(timer):
        timer.start()
        one()
        timer.stop()
        return 1

    return run


def _peak(kind, images):
    """How much more a process of its own holds because of one run."""
    command = [sys.executable, "-m", "benchmarks.loss.peak", kind, str(images)]
    child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode:
        raise Failure(
            f"measuring the memory of {kind} for {images} images ended with"
            f" {child.returncode}: {child.stderr[-1000:]}"
        )
    return json.loads(child.stdout.splitlines()[-1])
