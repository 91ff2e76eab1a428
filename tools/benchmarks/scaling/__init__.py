"""Suite scaling: what a second worker costs the training step.

Weak scaling on two cores: one process on one core against two on one core
each, which train one model with the same images per replica. Cores of one
machine share memory and caches, so two processes that train a model each and
know nothing of each other are measured besides: against these only the
communication is left. Its parts are then timed in isolation.
"""

import dataclasses
import statistics

from benchmarks import options as flags
from benchmarks.measure import say
from benchmarks.scaling import estimate
from benchmarks.scaling import figures
from benchmarks.scaling import networks
from benchmarks.scaling import pairs
from benchmarks.scaling import tables

_SIZES = [4**k for k in range(5, 14)]  # 1 KiB to 64 MiB
_DEFAULT = ("resnet18", "tiny")


def define_flags(parser):
    """Adds the flags of this suite."""
    words = f"default: {' and '.join(_DEFAULT)}"
    flags.several(parser, "encoder", networks.NETWORKS, words)
    defaults = {
        field: ", ".join(
            f"{name} {getattr(network, field)}"
            for name, network in networks.NETWORKS.items()
        )
        for field in ("batch", "steps")
    }
    flags.define_counts(
        parser,
        batch=(None, f"images per replica; default: {defaults['batch']}"),
        steps=(None, f"timed in a row; default: {defaults['steps']}"),
        repeats=(5, "how often all is measured in turn"),
    )


def run(options):
    """Measures; returns what the JSON file holds."""
    cores = pairs.two_cores()
    say(f"starting two pairs of processes on the cores {cores}")
    with pairs.started(cores, "independent", "joined") as (independent, joined):
        say("all-reduce by size")
        results = {
            "cores": cores,
            "all_reduce": [
                {
                    "bytes": size,
                    "seconds": _means(
                        joined.ask(
                            "all_reduce", size=size, repeats=options.repeats
                        )
                    ),
                }
                for size in _SIZES
            ],
            "networks": [
                _measure(name, options, independent, joined)
                for name in options.encoder or _DEFAULT
            ],
        }
    say("counting operations of ResNet-50 for the estimate")
    results["resnet50"] = dataclasses.asdict(estimate.count_resnet50())
    return results


def report(results):
    """The Markdown of what `run` returned."""
    return tables.report(results)


def _measure(name, options, independent, joined):
    """Everything about one network."""
    network = networks.NETWORKS[name]
    batch = options.batch or network.batch
    steps = options.steps or network.steps
    say(f"{name}: building and tracing")
    for pair in (independent, joined):
        parameters = pair.ask("build", network=name, batch=batch)[0]
    rounds = []
    for number in range(options.repeats):
        say(f"{name}: repeat {number + 1} of {options.repeats}")
        rounds.append(_round(independent, joined, steps, number))
    say(f"{name}: what it exchanges, in isolation")
    exchange = joined.ask("exchange", repeats=options.repeats)
    measured = {
        unit: {
            kind: [one_round[kind][unit] for one_round in rounds]
            for kind in rounds[0]
        }
        for unit in ("clock", "core")
    }
    measured["exchange"] = {
        part: {
            **facts,
            "seconds": _means([e[part]["seconds"] for e in exchange]),
        }
        for part, facts in exchange[0].items()
    }
    return {
        "name": name,
        "batch": batch,
        "steps": steps,
        "repeats": options.repeats,
        "parameters": parameters,
        **measured,
        "figures": figures.summary(measured),
    }


def _round(independent, joined, steps, number):
    """Dict of kind -> seconds per step by the clock and on the core."""
    replies = {
        # On the one core and the other, in case they differ.
        "one": independent.ask("train", only=number % 2, steps=steps),
        "independent": independent.ask("train", steps=steps),
        "joined": joined.ask("train", steps=steps),
        "local_bn": joined.ask("train", steps=steps, norm="local"),
    }
    return {
        kind: {
            unit: statistics.mean(reply[unit] for reply in both)
            for unit in ("clock", "core")
        }
        for kind, both in replies.items()
    }


def _means(lists):
    """Of the workers' lists, repeat by repeat."""
    return [statistics.mean(values) for values in zip(*lists)]
