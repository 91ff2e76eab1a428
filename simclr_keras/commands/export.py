"""Exports a model to serve: arrays or encoded images in, h out."""

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import checkpoint
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common.flag_kinds import Group

FIRST = (
    "checkpoint",
    "export_dir",
    "format",
    "precision",
    "version",
    "license",
    "image_size",
    "class_names",
)
EXAMPLE = "simclr-export --checkpoint=runs/photos_10pct"
# Results that describe the images, not the model.
_OF_DATA = ("dataset", "train_images", "labelled_images", "test_images")
# Flags whose values are paths on the machine that trained the model.
_LOCATIONS = ("model_dir", "data_dir", "cache_dir", "checkpoint", "labels")


def define_flags(values):
    """Defines the flags of `simclr-export`."""
    shared_flags.define_trained_model(values)
    run = Group(values, "run")
    run.path(
        "export_dir",
        None,
        "Directory of numbered versions, as TensorFlow Serving reads them."
        " Default: export in the run directory of --checkpoint, export_onnx"
        " and export_tflite for these formats.",
    )
    run.choice(
        "format",
        "saved_model",
        choices.EXPORT_FORMATS,
        "saved_model: for TensorFlow. onnx: for ONNX runtimes; needs tf2onnx."
        " tflite: for TensorFlow Lite.",
    )
    Group(values, "devices").choice(
        "precision",
        "float32",
        choices.EXPORT_PRECISIONS,
        "What the exported model computes in. float32: for every runtime."
        " as_trained: as in the training, for a saved_model on machines that"
        " multiply that precision.",
    )
    run.integer(
        "version",
        0,
        "Number of the version, a new one. 0: one more than the highest there.",
        least=0,
    )
    run.string(
        "license",
        None,
        "Under which the model may be used, for its card.",
    )
    shared_flags.define_log(values)
    data = Group(values, "data")
    data.integer(
        "image_size",
        0,
        "Side in pixels that images are resized to. 0: that of the training.",
        least=0,
    )
    data.integer(
        "channels",
        None,
        "Number of channels of the images, for a file of weights. None: 3;"
        " other checkpoints say it.",
        least=1,
    )
    data.range(
        "pixel_range",
        "Values that are black and white in images of more than 8 bits, for a"
        " --checkpoint that does not say it. None: that of the training, else"
        " the range of the type.",
    )
    image_flags.define_max_pixels(values)
    data.list(
        "class_names",
        [],
        "Names of a classifier's classes, or of the numbers that it predicts,"
        " stored beside the model; none: those of the data set that it was"
        " trained on.",
    )


def run(flags):
    """Exports as the flags say; returns the version's folder."""
    cli.require(flags, "checkpoint")
    run = sk.training.find_run(flags.checkpoint)
    if not flags.export_dir and run is None:
        raise ValueError(
            "--export_dir must name a directory where --checkpoint is no run"
            " directory and lies in none. Received:"
            f" --checkpoint={flags.checkpoint}"
        )
    model = checkpoint.load_and_set_channels(flags)
    model = model or checkpoint.as_trained(flags)  # a file of weights
    size = input_data.image_size(flags, None, checkpoint.trained_size(model))
    # An export has its own card, also when it was copied out of its run.
    card = sk.serving.read_card(flags.checkpoint)
    names, trained_range, about = card or (
        run and run.read_class_names(),
        pixel_range_of(run),
        _about(run),
    )
    if not isinstance(model, sk.Classifier):
        names = None
    if flags.license:
        about["license"] = flags.license
    path = sk.export(
        model,
        flags.export_dir or _directory(run, flags.format),
        format=flags.format,
        precision=flags.precision,
        version=flags.version or None,
        **_names(model, flags.class_names or names),
        image_size=size,
        pixel_range=_pixel_range(flags, trained_range, bool(card or run)),
        max_pixels=flags.max_pixels,
        about=about,
    )
    print(f"Exported: {path}")
    return path


def _names(model, names):
    """Argument of `export` for the names of the outputs."""
    numbers = getattr(model, "activation", None) == "linear"
    return {"target_names" if numbers else "class_names": names}


def _directory(run, format):
    """Directory of the versions of a format in a run directory."""
    if format == "saved_model":
        return run.export
    return run.path / f"{run.export.name}_{format}"


def _pixel_range(flags, trained, is_known):
    """`--pixel_range`, or that of the training, from which it must not differ.

    Args:
        flags: the command's.
        trained: pair of numbers, or None: the training had none.
        is_known: whether a run or an export says what the training had.
    """
    given = flags.pixel_range
    if not given or not is_known:
        return given or trained
    if tuple(given) != tuple(trained or ()):
        allowed = " or be {:g},{:g},".format(*trained) if trained else ""
        raise ValueError(
            f"--pixel_range must be left out,{allowed} as in the training of"
            " --checkpoint. Received: --pixel_range={:g},{:g}"
            " --checkpoint={}".format(*given, flags.checkpoint)
        )
    return trained


def pixel_range_of(run):
    """The `--pixel_range` of the training run, or None."""
    value = run and run.settings().get("pixel_range")
    return value and tuple(float(x) for x in value.split(","))


def _about(run):
    """Data, metrics and flags of a finished run, for the model's card."""
    results = run and run.finished()
    if results is None:
        return {}
    data = {k: results.pop(k) for k in list(results) if k in _OF_DATA}
    trained = run.settings()
    for name in _LOCATIONS:
        trained.pop(name, None)
    return {"data": data, "metrics": results, "run": trained}


def main():
    """Entry point of `simclr-export`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
