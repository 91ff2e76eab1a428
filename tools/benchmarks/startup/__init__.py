"""Suite startup: how long one waits for a command, each time a new process."""

import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks import Failure
from benchmarks import measure
from benchmarks import options as flags
from benchmarks import words
from benchmarks.spread import Spread

_ROOT = pathlib.Path(__file__).resolve().parents[3]
_RECIPE = _ROOT / "flags" / "shapes" / "pretrain.flags"
_PROCESSES = {
    "nothing": ["-c", "pass"],
    "import": ["-c", "import simclr_keras"],
    "help": ["-m", "simclr_keras.commands.pretrain", "--help"],
    "tensorflow": ["-c", "import tensorflow, keras"],
}
_TRAINING = {"first": 0, "second": 1}
_NAMES = {
    "nothing": "Python alone",
    "import": "`import simclr_keras`",
    "help": "`simclr-pretrain --help`",
    "tensorflow": "`import tensorflow, keras`",
    "first": "`simclr-pretrain` until its first step has ended",
    "second": "`simclr-pretrain` until its second step has ended",
}


def define_flags(parser):
    """Adds the flags of this suite."""
    names = [*_PROCESSES, "training"]
    flags.several(parser, "part", names, "default: all")
    flags.define_counts(parser, repeats=(5, "how often all is measured"))


def run(options):
    """Measures; returns what the JSON file holds."""
    parts = options.part or [*_PROCESSES, "training"]
    subjects = {
        part: lambda timer, part=part: _run(_PROCESSES[part], timer)
        for part in parts
        if part in _PROCESSES
    }
    steps = []
    if "training" in parts:
        subjects["training"] = lambda timer: _train(timer, steps)
    measured = measure.alternate(subjects, options.repeats, "startup")
    seconds = {part: measured[part]["clock"] for part in parts}
    if "training" in parts:
        del seconds["training"]
        for name, index in _TRAINING.items():
            seconds[name] = [each[index] for each in steps]
    return {"repeats": options.repeats, "seconds": seconds}


def _run(arguments, timer):
    timer.start()
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=_ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    timer.stop()
    if run.returncode:
        raise Failure(f"{' '.join(arguments)} failed:\n{run.stderr}")
    return 1


def _environment():
    """With this repository's package and tools in front."""
    paths = [_ROOT, _ROOT / "tools", os.environ.get("PYTHONPATH")]
    paths = [str(path) for path in paths if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _train(timer, steps):
    """Trains for two steps, and appends when each had ended, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        times = pathlib.Path(folder) / "times"
        begun = _now()
        _run(
            [
                *("-m", "benchmarks.startup.training", str(times)),
                f"--flagfile={_RECIPE}",
                # Until the third step there is nothing but training.
                *("--eval_split=", "--train_steps=3"),
                f"--model_dir={folder}/run",
            ],
            timer,
        )
        ended = [float(line) for line in times.read_text().split()]
    steps.append([time - begun for time in ended])
    return 1


def _now():
    from benchmarks.startup import training

    return training.now()


def report(results):
    """The Markdown of what `run` returned."""
    from simclr_keras.evaluation import markdown_table

    about = f"""
        Seconds from the start of a new process. Median (lowest-highest) of
        {results["repeats"]} repeats in turn. The training is that of
        flags/shapes, of 128 images a step."""
    rows = [
        (_NAMES[name], Spread.of(seconds).text(2))
        for name, seconds in results["seconds"].items()
    ]
    return "\n\n".join(
        [
            "## Start-up",
            words.paragraph(about),
            markdown_table(rows, ["what", "seconds"]),
        ]
    )
