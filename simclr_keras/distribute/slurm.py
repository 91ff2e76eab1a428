"""Reads the tasks of a job step and their nodes from SLURM's variables.

TensorFlow's `SlurmClusterResolver` gives the same in simple cases. It is not
used, because it needs a GPU for each task (`range() arg 3 must not be zero` on
CPUs, and where SLURM has bound one GPU to each of several tasks), and because
it sorts host names as text, which swaps the addresses of the tasks on n[9-10].
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping

# First port, number of ranges, ports in a range. A job step uses one range, and
# each of its tasks on a node one port of it. Services and outgoing connections
# seldom use these ports.
_FIRST_PORT, _RANGES, _PORTS_OF_STEP = 12_000, 312, 64


@dataclasses.dataclass(frozen=True)
class Tasks:
    """The tasks of a job step.

    Attributes:
        addresses: `host:port` of each task, in the order of their ranks.
        rank: rank of this task.
        local: ranks of the tasks on this node.
    """

    addresses: list
    rank: int
    local: list


def read(environment: Mapping[str, str] = os.environ) -> Tasks | None:
    """Reads the tasks of the job step to which this process belongs.

    Args:
        environment: dict of environment variables.

    Returns:
        `Tasks`; None where no SLURM step has started this process, or it is
        the only task.

    Raises:
        ValueError: the variables do not tell on which node each task runs.
    """
    count = _number(environment, "SLURM_STEP_NUM_TASKS")
    if count is None or count < 2:
        return None
    rank = _number(environment, "SLURM_PROCID")
    nodes = environment.get("SLURM_STEP_NODELIST")
    per_node = environment.get("SLURM_STEP_TASKS_PER_NODE")
    if rank is None or not nodes or not per_node:
        raise _unusable(environment, "one of them is missing")
    try:
        hosts, counts = expand_hosts(nodes), _expand_counts(per_node)
    except ValueError as error:
        raise _unusable(environment, str(error)) from error
    if len(hosts) != len(counts) or sum(counts) != count or rank >= count:
        raise _unusable(environment, "they contradict each other")
    places = _places(counts, environment.get("SLURM_DISTRIBUTION", ""))
    said = _number(environment, "SLURM_NODEID")
    if places is None or said not in (None, places[rank][0]):
        raise _unusable(
            environment, "tasks must lie on the nodes in blocks or cyclically"
        )
    base = _first_port(environment)
    return Tasks(
        [f"{hosts[node]}:{base + number}" for node, number in places],
        rank,
        [r for r, (node, _) in enumerate(places) if node == places[rank][0]],
    )


def own_gpus(
    count: int, tasks: Tasks, environment: Mapping[str, str] = os.environ
) -> slice:
    """Selects the GPUs that this task may use of those that it sees.

    Args:
        count: number of GPUs that the process sees.
        tasks: `Tasks`.
        environment: dict of environment variables.

    Returns:
        `slice`: all GPUs if SLURM has bound them to tasks, if there is at most
        one, or if the node has no other task; else this task's share.

    Raises:
        ValueError: the tasks of the node cannot share them evenly.
    """
    here = len(tasks.local)
    per_task = ("SLURM_GPUS_PER_TASK", "SLURM_TRES_PER_TASK")
    bound = any(name in environment for name in per_task)
    step = environment.get("SLURM_STEP_GPUS")
    bound |= step is not None and count < len(step.split(","))
    if here == 1 or count < 2 or bound:
        return slice(count)
    if count % here:
        raise ValueError(
            f"strategy auto must share the {count} GPUs of a node among its"
            f" SLURM tasks. Received: {here} tasks; start as many as divide"
            " the GPUs, or bind them by `srun --gpus-per-task`"
        )
    share, place = count // here, tasks.local.index(tasks.rank)
    return slice(place * share, (place + 1) * share)


def alone_in_job(environment: Mapping[str, str] = os.environ) -> int:
    """Number of a job's tasks if this process is none of them; else 0.

    A process in the script of `sbatch`, or in a shell of `salloc`, is not one
    of the job's tasks: `srun` starts those. A job of one task counts as 0.
    """
    if "SLURM_STEP_NUM_TASKS" in environment:
        return 0
    tasks = _number(environment, "SLURM_NTASKS") or 0
    return tasks if tasks > 1 else 0


def expand_hosts(text: str) -> list[str]:
    """Expands a list of hosts such as `n[1-2,7],m5`, in its order.

    Raises:
        ValueError: it is not such a list.
    """
    if not re.fullmatch(r"([^][,\s]|\[[-\d,]+\]|,(?!,|$))+", text):
        raise ValueError(f"{text!r} is no list of hosts")
    hosts = []
    for part in re.split(r",(?![^[]*\])", text):
        hosts += _expand(part)
    return hosts


def _expand(name):
    found = re.search(r"\[([^]]*)\]", name)
    if not found:
        return [name]
    before, rest = name[: found.start()], _expand(name[found.end() :])
    numbers = []
    for part in found[1].split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise ValueError(f"{name!r} is no list of hosts")
        for number in range(int(first), int(last or first) + 1):
            numbers.append(str(number).zfill(len(first)))
    return [f"{before}{number}{end}" for number in numbers for end in rest]


def _expand_counts(text):
    """Number of tasks on each node, from a text such as `3(x2),1`."""
    counts = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not found:
            raise ValueError(f"{text!r} does not say the tasks of each node")
        counts += [int(found[1])] * int(found[2] or 1)
    return counts


def _places(counts, distribution):
    """(node, index on the node) of each rank; None for other distributions."""
    slots = [(node, n) for node, c in enumerate(counts) for n in range(c)]
    first = distribution.partition(":")[0].partition(",")[0] or "block"
    if first == "cyclic":
        return sorted(slots, key=lambda slot: (slot[1], slot[0]))
    return slots if first == "block" else None


def _first_port(environment):
    """First port of a step, the same in all of its tasks.

    Jobs with consecutive numbers get different ports in their first 7 steps.
    """
    job = _number(environment, "SLURM_JOB_ID") or 0
    step = _number(environment, "SLURM_STEP_ID") or 0
    return _FIRST_PORT + (7 * job + step) % _RANGES * _PORTS_OF_STEP


def _number(environment, name):
    text = environment.get(name, "")
    return int(text) if text.isdigit() else None


def _unusable(environment, why):
    told = {
        name: environment[name]
        for name in sorted(environment)
        if re.fullmatch(
            "SLURM_(PROCID|NODEID|DISTRIBUTION"
            "|STEP_(NUM_TASKS|NODELIST|TASKS_PER_NODE))",
            name,
        )
    }
    return ValueError(
        "strategy auto must learn from SLURM's variables which task runs on"
        f" which node, and {why}. Received: {told}; start the tasks with `srun"
        " --distribution=block`, or give each of them TF_CONFIG, or"
        " --strategy=single and a --model_dir of its own"
    )
