"""What was measured on: the head of every report."""

import datetime
import os
import pathlib
import platform
import subprocess


def describe():
    """Dict of machine, versions and date."""
    import keras
    import tensorflow as tf

    import simclr_keras

    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "affinity": _affinity(),
        "load": list(os.getloadavg()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "simclr_keras": simclr_keras.__version__,
        "commit": _commit(),
        "date": datetime.datetime.now().isoformat(" ", "minutes"),
    }


def report(facts):
    """The same as lines of Markdown."""
    load = ", ".join(f"{value:.2f}" for value in facts["load"])
    return "\n".join(
        [
            f"- CPU: {facts['cpu']}, {facts['cores']} cores, of which this may"
            f" use {facts['affinity']}; load before: {load}",
            f"- TensorFlow {facts['tensorflow']}, Keras {facts['keras']},"
            f" simclr_keras {facts['simclr_keras']} ({facts['commit']}),"
            f" Python {facts['python']}, {facts['system']}",
            f"- Date: {facts['date']}",
        ]
    )


def _cpu_model():
    path = pathlib.Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _affinity():
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count()))
    return sorted(os.sched_getaffinity(0))


def _commit():
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=pathlib.Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "commit unknown"
