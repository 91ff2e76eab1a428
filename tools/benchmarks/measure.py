"""Things to compare, run in turn -> what each took in each repeat."""

import dataclasses
import os
import sys
import time

from benchmarks.spread import Spread


@dataclasses.dataclass
class Timer:
    """Seconds between `start` and `stop`: by the clock, and on all cores.

    What a run prepares before `start` and clears up after `stop` is not timed.
    """

    clock: float = 0.0
    core: float = 0.0

    def start(self):
        """Begins."""
        self.core -= time.process_time()
        self.clock -= time.perf_counter()

    def stop(self):
        """Ends."""
        self.clock += time.perf_counter()
        self.core += time.process_time()


def alternate(subjects, repeats, what=None):
    """Measures several things in one process, side by side.

    Every second repeat goes through them in reverse: what drifts evenly, such
    as a clock that slows as a processor warms, cancels in the medians.

    Args:
        subjects: dict of name -> function of a `Timer` that does a subject's
            work once, between `start` and `stop`; and returns how much of it
            there was, such as steps or images.
        repeats: how often each is run.
        what: what is measured, to tell the user; None: nothing is told.

    Returns:
        Dict of name -> dict of `clock` and `core`, lists of seconds per unit
        of work, one entry per repeat in their order; and `busy`, what part of
        the cores that this process may use it used.
    """
    measured = {name: {"clock": [], "core": []} for name in subjects}
    for number in range(repeats):
        if what is not None:
            say(f"{what}: repeat {number + 1} of {repeats}")
        names = list(subjects)
        for name in reversed(names) if number % 2 else names:
            timer = Timer()
            amount = subjects[name](timer)
            measured[name]["clock"].append(timer.clock / amount)
            measured[name]["core"].append(timer.core / amount)
    for times in measured.values():
        pairs = zip(times["core"], times["clock"])
        times["busy"] = [core / clock / _cores() for core, clock in pairs]
    return measured


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def rates(measured, name):
    """Spread of the units of work per second of a subject."""
    return Spread.of([1 / s for s in measured[name]["clock"]])


def say(message):
    """Tells the user, who waits, what goes on."""
    print(f"benchmark: {message}", file=sys.stderr, flush=True)
