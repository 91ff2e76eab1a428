"""Runs the quick start (tools/quickstart) on the generated data set."""

import json
import pathlib
import sys
import time

from absl import flags

import simclr_keras as sk
from simclr_keras import xla_cache
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands import report
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import tensorflow_log

RECIPES = pathlib.Path("flags/shapes")


def main(arguments):
    """Runs all stages; finished trainings and evaluations are not repeated."""
    tensorflow_log.silence(arguments)
    xla_cache.enable()
    started = time.perf_counter()
    suffix = "".join(f"-{argument.lstrip('-')}" for argument in arguments)
    directory = pathlib.Path("runs") / f"quickstart{suffix}"
    run = _stage(pretrain, "pretrain", directory / "pretrain", arguments)
    linear = {"raw pixels": _pixel_accuracy(directory)}
    for name, extra in (
        ("random encoder", ["--from_scratch"]),
        ("pretrained encoder", []),
    ):
        linear[name] = _evaluate(
            linear_eval, "linear_eval", directory, name, extra
        )["accuracy"]
    few = {}
    for share in ("1pct", "10pct"):
        for name, extra in (
            ("from scratch", ["--from_scratch"]),
            ("fine-tuned", []),
        ):
            few[share, name] = _evaluate(
                finetune,
                f"finetune_{share}",
                directory,
                f"{share} {name}",
                extra,
            )["accuracy"]
    best = directory / _slug("10pct fine-tuned")
    if not list((best / "export").glob("[0-9]*")):
        _run(export, f"--checkpoint={best}")
    print("\n=== embeddings", flush=True)
    _run(
        embed,
        f"--checkpoint={directory / 'pretrain'}",
        f"--model_dir={directory / 'embeddings'}",
        "--split=test",
        "--neighbors=random:8",
        "--map",
    )
    _run(report, f"--model_dir={directory / 'pretrain'}")
    _report(directory, run, linear, few, time.perf_counter() - started)


def _slug(name):
    return name.replace(" ", "_").replace("-", "_")


def _stage(command, recipe, directory, extra):
    print(f"\n=== {directory.name}", flush=True)
    return _run(
        command,
        f"--flagfile={RECIPES / recipe}.flags",
        *extra,
        f"--model_dir={directory}",
    )


def _run(command, *arguments):
    return command.run(command_line.parse(command.define_flags, arguments))


def _evaluate(command, recipe, directory, name, extra):
    checkpoint = f"--checkpoint={directory / 'pretrain'}"
    return _stage(
        command, recipe, directory / _slug(name), [checkpoint, *extra]
    )


def _pixel_accuracy(directory):
    """Linear accuracy on raw pixels, kept in `raw_pixels.json`."""
    path = directory / "raw_pixels.json"
    if not path.exists():
        print("\n=== raw pixels", flush=True)
        train, test = (
            sk.data.open_source("shapes", s) for s in ("train", "test")
        )
        best = sk.evaluation.linear_accuracy(
            sk.evaluation.pixel_features(train.images),
            train.labels,
            sk.evaluation.pixel_features(test.images),
            test.labels,
            epochs=30,
        )
        path.write_text(json.dumps({"accuracy": best.accuracy}))
    return json.loads(path.read_text())["accuracy"]


def _report(directory, run, linear, few, seconds):
    percent = sk.evaluation.percent
    rows = [[f"linear, {name}", percent(a)] for name, a in linear.items()]
    rows.append(["kNN, pretrained encoder", percent(run["knn_accuracy"])])
    print("\n" + sk.evaluation.markdown_table(rows, ["evaluation", "accuracy"]))
    rows = [
        [
            f"{share.replace('pct', ' %')} of the labels",
            percent(few[share, "from scratch"]),
            percent(few[share, "fine-tuned"]),
        ]
        for share in ("1pct", "10pct")
    ]
    header = ["labels", "supervised from scratch", "fine-tuned"]
    print("\n" + sk.evaluation.markdown_table(rows, header))
    print(
        f"""
Both columns train with the same augmentations. {seconds / 60:.1f} minutes.

Run directory   {directory}
Report          {directory}/pretrain/report.html
View pairs      {directory}/pretrain/views.png
TensorBoard     .venv/bin/tensorboard --logdir {directory}
SavedModel      {directory}/{_slug("10pct fine-tuned")}/export/1

What colour distortion does: tools/quickstart --color_jitter_strength=0
Your own photographs:        .venv/bin/simclr-pretrain \\
    --recipe=folder/pretrain --dataset=folder:/your/photos \\
    --model_dir=runs/photos"""
    )


def _checked(arguments):
    """Returns the arguments; ends if `simclr-pretrain` has no such flags."""
    if {"--help", "-h"} & set(arguments):
        print("tools/quickstart [flags of simclr-pretrain; see its --help]")
        sys.exit()
    try:
        command_line.parse(pretrain.define_flags, arguments)
    except flags.Error as error:
        sys.exit(f"Error: {error}")
    return arguments


if __name__ == "__main__":
    main(_checked(sys.argv[1:]))
