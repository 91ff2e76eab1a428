"""What the workers measured -> the figures that are reported."""

import statistics

from benchmarks.spread import Spread
from benchmarks.spread import ratio

# Of the time of a step that needs nobody; less, and others used the core.
_QUIET = 0.97


def summary(measured):
    """Figures of one network.

    Args:
        measured: dict of `clock` and `core`, each a dict of "one",
            "independent", "joined" and "local_bn" -> seconds per step, one for
            each repeat; and `exchange`, dict of part -> dict of `seconds`.

    Returns:
        Dict of `step_seconds`, `core_seconds` and `exchange_seconds`, spreads
        by the same names; `against_one` and `against_independent`, spreads of
        the time of these two divided by that of the others, within each
        repeat; `quiet`, whether other programs left the cores alone.
    """
    clock, core = measured["clock"], measured["core"]
    shares = [
        ratio(core[name], clock[name]).median for name in ("one", "independent")
    ]
    return {
        "step_seconds": _spreads(clock),
        "core_seconds": _spreads(core),
        "exchange_seconds": _spreads(
            {
                part: facts["seconds"]
                for part, facts in measured["exchange"].items()
            }
        ),
        "against_one": {
            name: ratio(clock["one"], clock[name])
            for name in ("independent", "joined", "local_bn")
        },
        "against_independent": {
            name: ratio(clock["independent"], clock[name])
            for name in ("joined", "local_bn")
        },
        "quiet": min(shares) >= _QUIET,
    }


def _spreads(values):
    return {name: Spread.of(each) for name, each in values.items()}


def link(curve):
    """What the all-reduces of two workers show of all others.

    Args:
        curve: list of dicts of `bytes` and `seconds`, a list; the smallest
            first.

    Returns:
        Dict of `collective_seconds`, those of the smallest: what any takes;
        and `bytes_per_second`, that each worker sent of the largest. Of two,
        each sends as many bytes as are summed: one half, then the sum of the
        other half.
    """
    smallest, largest = curve[0], curve[-1]
    return {
        "collective_seconds": statistics.median(smallest["seconds"]),
        "bytes_per_second": largest["bytes"]
        / statistics.median(largest["seconds"]),
    }
