"""Times functions in turn, measures peak memory, and makes tables of both."""

import concurrent.futures
import dataclasses
import datetime
import itertools
import multiprocessing
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from typing import Optional

from simclr_keras import processor


@dataclasses.dataclass
class Comparison:
    """The measurements of several subjects: one table.

    Attributes:
        title: heading of the table.
        about: a sentence on what was measured.
        seconds: dict of name of a subject -> list of the seconds of one unit of
            work, one number for each repeat.
        images: images in a unit of work; None: the table shows no images per
            second.
        reference: dict of name of a subject -> name of the subject with whose
            time its time is compared.
        peak_bytes: dict of name of a subject -> its peak memory in bytes.
    """

    title: str
    about: str
    seconds: dict = dataclasses.field(default_factory=dict)
    images: Optional[int] = None
    reference: dict = dataclasses.field(default_factory=dict)
    peak_bytes: dict = dataclasses.field(default_factory=dict)

    def markdown(self):
        """Heading, sentence and table; cells hold median (lowest-highest)."""
        columns = [("", lambda name: name)]
        if self.seconds:
            columns.append(("ms", self._milliseconds))
        if self.images:
            columns.append(("images/s", self._rate))
        if self.reference:
            columns.append(("time, in that of", self._ratio))
        if self.peak_bytes:
            columns.append(("peak MiB", self._peak))
        rows = [[name for name, _ in columns], ["---"] * len(columns)]
        for name in {**self.seconds, **self.peak_bytes}:
            rows.append([cell(name) for _, cell in columns])
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([f"## {self.title}", "", self.about, "", *lines])

    def _milliseconds(self, name):
        return spread([1e3 * s for s in self.seconds.get(name, ())], 1)

    def _rate(self, name):
        return spread([self.images / s for s in self.seconds.get(name, ())], 0)

    def _ratio(self, name):
        reference = self.reference.get(name)
        if not reference:
            return "-"
        pairs = zip(self.seconds[name], self.seconds[reference])
        return f"{spread([a / b for a, b in pairs], 2)} {reference}"

    def _peak(self, name):
        peak = self.peak_bytes.get(name)
        return "-" if peak is None else f"{peak / 2**20:,.0f}"


def spread(values, digits):
    """`median (lowest-highest)` of numbers; a dash if there are none."""
    if not values:
        return "-"
    middle, low, high = (
        f"{value:,.{digits}f}"
        for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low}-{high})"


def in_turn(subjects, repeats, what):
    """Measures several subjects in turn.

    Every second repeat takes them in reverse order. So a steady drift, such as
    that of the clock of a warming processor, cancels in the medians.

    Args:
        subjects: dict of name -> function that does some work and returns the
            seconds of one unit of it. Each function is called once before the
            measurements, so that they include no tracing.
        repeats: number of measurements of each.
        what: name of the measurement in messages to the user.

    Returns:
        Dict of name -> list of seconds, one for each repeat.
    """
    seconds = {name: [] for name in subjects}
    for name, run in subjects.items():
        say(f"{what}: first run of {name}")
        run()
    for number in range(repeats):
        say(f"{what}: repeat {number + 1} of {repeats}")
        names = list(subjects)
        for name in reversed(names) if number % 2 else names:
            seconds[name].append(subjects[name]())
    return seconds


def timed(function):
    """Subject for `in_turn` whose unit of work is a call of a function."""

    def run():
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin

    return run


def stream(start, steps):
    """Subject for `in_turn` whose unit of work is a batch of a pipeline.

    Args:
        start: function that returns a new iterable of batches. When it yields a
            batch, the device must have finished computing it.
        steps: number of batches to time in a row.
    """

    def run():
        # The iterator is deleted after this run, so it stops prefetching.
        batches = (batch for _ in itertools.count() for batch in start())
        # Batches before the timed ones bring the buffers to a steady state.
        for _ in itertools.islice(batches, 1 + steps // 2):
            pass
        begin = time.perf_counter()
        for _ in itertools.islice(batches, steps):
            pass
        return (time.perf_counter() - begin) / steps

    return run


def in_new_process(function, *arguments):
    """Calls a function in a new process, whose peak memory is its own.

    The function must be defined in a module, and its arguments and its result
    must be picklable.
    """
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(function, *arguments).result()


def peak_bytes():
    """Peak resident memory of this process so far, in bytes."""
    path = pathlib.Path("/proc/self/status")
    if path.exists():
        # On Linux `ru_maxrss` would include the peak of the parent process.
        for line in path.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def machine():
    """Dict with the processor, load, versions and date of the measurements."""
    import keras
    import tensorflow as tf

    lines = processor.description()
    models = [x.partition(":")[2] for x in lines if x.startswith("model name")]
    cores = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count()))(0)
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(
        git, cwd=pathlib.Path(__file__).parent, capture_output=True, text=True
    )
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "processor": f"{(models or [platform.machine()])[0].strip()},"
        f" {len(cores)} cores, {len(gpus)} GPUs",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "versions": f"TensorFlow {tf.__version__}, Keras {keras.__version__},"
        f" Python {platform.python_version()}, commit {commit.stdout.strip()}",
        "date": datetime.datetime.now().isoformat(" ", "minutes"),
    }


def say(message):
    """Prints progress to stderr for the waiting user."""
    print(f"benchmark: {message}", file=sys.stderr, flush=True)
