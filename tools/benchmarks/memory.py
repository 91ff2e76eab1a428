"""Suite memory: large batches on one device, by gradient caching.

Each configuration trains in a process of its own, whose peak of resident
memory is then its own. How long an image takes is measured in another process,
the plain step and the cached one in turn.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys

from benchmarks import Failure
from benchmarks import measure
from benchmarks import options as flags
from benchmarks.spread import Spread
from benchmarks.spread import ratio

_TOOLS = pathlib.Path(__file__).resolve().parents[1]
_ENCODERS = ("resnet18", "tiny", "smallest")
_PRECISIONS = ("float32", "bfloat16")
_GIB = 2**30


def define_flags(parser):
    """Adds the flags of this suite."""
    parser.add_argument(
        "--encoder",
        choices=_ENCODERS,
        default="resnet18",
        help="network of 32-pixel images; default: resnet18",
    )
    parser.add_argument(
        "--precision",
        choices=_PRECISIONS,
        default="float32",
        help="of the networks; default: float32",
    )
    parser.add_argument(
        "--batch",
        type=flags.count,
        action="append",
        metavar="N",
        help="images in a large batch; may be repeated; default: 4096, 16384",
    )
    flags.define_counts(
        parser,
        micro=(256, "images in a micro-batch, and in the plain step"),
        timed_batch=(1024, "images in the large batch that is timed"),
        steps=(1, "in each process of which memory is measured"),
        repeats=(3, "of the timing"),
    )


def run(options):
    """Measures; returns what the JSON file holds."""
    batches = options.batch or [4096, 16384]
    for batch in [*batches, options.timed_batch]:
        if batch % options.micro:
            raise Failure(
                f"batches must divide by --micro, {options.micro}. Received:"
                f" {batch}"
            )
    common = {
        name: getattr(options, name)
        for name in ("encoder", "precision", "micro")
    }
    peaks = []
    for batch in [options.micro, *batches]:
        measure.say(f"memory of {options.encoder} at batch {batch}")
        peaks.append(_ask("peak", **common, batch=batch, steps=options.steps))
    what = f"{options.micro} and {options.timed_batch}"
    measure.say(f"time of {options.encoder} at batches {what}, in turn")
    times = _ask(
        "times", **common, batch=options.timed_batch, repeats=options.repeats
    )
    return {**common, "steps": options.steps, "peaks": peaks, "times": times}


def report(results):
    """The Markdown of what `run` returned."""
    from simclr_keras.evaluation import markdown_table

    rows = []
    for number, peak in enumerate(results["peaks"]):
        rows.append(
            (
                f"{peak['batch']:,}",
                f"micro-batches of {results['micro']}" if number else "plain",
                f"{peak['peak_bytes'] / _GIB:.2f}",
                f"{peak['built_bytes'] / _GIB:.2f}",
                f"{peak['image_bytes'] / _GIB:.3f}",
            )
        )
    header = ["batch", "step", "peak GiB", "before training", "its images"]
    parts = [
        f"## {results['encoder']}, 32 pixels, {results['precision']}",
        "Peak of resident memory, each in a process of its own of"
        f" {results['steps']} step(s):",
        markdown_table(rows, header),
        *_times(results),
    ]
    return "\n\n".join(parts)


def _times(results):
    from simclr_keras.evaluation import markdown_table

    times = results["times"]
    rows = []
    for kind in ("plain", "cached"):
        row = [f"{kind}, batch {times['batches'][kind]:,}"]
        for unit in ("clock", "core"):
            seconds = Spread.of(times[kind][unit])
            row.append(seconds.text(2, 1e3))
        rows.append(row)
    quotients = ["cached / plain"]
    for unit in ("clock", "core"):
        spread = ratio(times["cached"][unit], times["plain"][unit])
        quotients.append(spread.text(3))
    rows.append(quotients)
    return [
        "An image's share of a training step in ms, views included: median"
        f" (lowest-highest) of {len(times['plain']['clock'])} repeats in turn:",
        markdown_table(rows, ["step", "by the clock", "on all cores"]),
    ]


def _ask(task, **arguments):
    """What a new process finds out."""
    path = [str(_TOOLS), os.environ.get("PYTHONPATH")]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", task]
        + [json.dumps(arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.splitlines()[-40:]
        raise Failure(
            "\n".join([f"a process ended with {done.returncode}:", *lines])
        )
    return json.loads(done.stdout.splitlines()[-1])


class _Training:
    """A model and one batch in memory."""

    def __init__(self, encoder, precision, batch, micro):
        import keras
        import numpy as np
        import tensorflow as tf

        import simclr_keras as sk
        from benchmarks.scaling import networks

        keras.utils.set_random_seed(0)
        if precision != "float32":
            keras.mixed_precision.set_global_policy(f"mixed_{precision}")
        network, size = networks.NETWORKS[encoder], networks.IMAGE_SIZE
        self._model = sk.SimCLR(
            network.encoder(True),
            network.head(True),
            sk.TwoViews(size, jit=network.jit),
            micro_batch_size=micro,
        )
        self._model.compile(sk.LARS(0.1), sk.NTXent())
        self._model.build_state()
        self.built_bytes = _peak_bytes()
        images = np.random.default_rng(0).integers(
            0, 256, (batch, size, size, 3), np.uint8
        )
        self.image_bytes = images.nbytes
        self._batches = iter(tf.data.Dataset.from_tensors(images).repeat())
        self._model.make_train_function()

    def run(self, steps):
        """Trains; ends when the last step has."""
        import numpy as np

        for _ in range(steps):
            logs = self._model.train_function(self._batches)
        if not np.isfinite(np.ravel(logs["loss"])[0]):
            raise RuntimeError(f"the loss is no number after {steps} steps")


def _peak_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _peak(encoder, precision, micro, batch, steps):
    """Of a process that trains at one batch."""
    training = _Training(encoder, precision, batch, micro)
    training.run(steps)
    return {
        "batch": batch,
        "built_bytes": training.built_bytes,
        "image_bytes": training.image_bytes,
        "peak_bytes": _peak_bytes(),
    }


def _measured_times(encoder, precision, micro, batch, repeats):
    """Seconds per image, as many images by plain steps as by a cached one."""
    batches = {"plain": micro, "cached": batch}
    trainings = {
        kind: _Training(encoder, precision, images, micro)
        for kind, images in batches.items()
    }

    def subject(kind):
        def train(timer):
            timer.start()
            trainings[kind].run(batch // batches[kind])
            timer.stop()
            return batch

        return train

    for training in trainings.values():
        training.run(1)  # traces
    subjects = {kind: subject(kind) for kind in batches}
    return {"batches": batches, **measure.alternate(subjects, repeats, "time")}


if __name__ == "__main__":
    _TASKS = {"peak": _peak, "times": _measured_times}
    print(json.dumps(_TASKS[sys.argv[1]](**json.loads(sys.argv[2]))))
