"""Exports a model to serve: arrays or encoded images in, h out."""

from absl import flags

from simclr_keras.commands import cli
from simclr_keras.commands import data_flags
from simclr_keras.commands import model_flags
from simclr_keras.commands import required


def define_flags(values):
    """Defines the flags of `simclr-export`."""
    model_flags.define_checkpoint(values)
    flags.DEFINE_string(
        "export_dir",
        None,
        "Directory of numbered versions, as TensorFlow Serving reads them."
        " Default: export in the run directory of --checkpoint, export_onnx"
        " and export_tflite for these formats.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "format",
        "saved_model",
        ("saved_model", "onnx", "tflite"),
        "saved_model: for TensorFlow. onnx: for ONNX runtimes; needs tf2onnx."
        " tflite: for TensorFlow Lite.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        ("float32", "as_trained"),
        "What the exported model computes in. float32: for every runtime."
        " as_trained: as in the training, for a saved_model on machines that"
        " multiply that precision.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "version",
        0,
        "Number of the version, a new one. 0: one more than the highest there.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_string(
        "license",
        None,
        "Under which the model may be used, for its card.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "image_size",
        0,
        "Side in pixels that images are resized to. 0: that of the training.",
        lower_bound=0,
        flag_values=values,
    )
    data_flags.define_max_pixels(values)
    flags.DEFINE_list(
        "class_names",
        [],
        "Names of a classifier's classes, stored beside the model; none: those"
        " of the data set that it was trained on.",
        flag_values=values,
    )


def run(settings):
    """Exports as the settings say; returns the version's folder."""
    required.check(settings, "checkpoint")
    from simclr_keras.commands import exporting

    return exporting.export(settings)


def main():
    """Entry point of `simclr-export`."""
    cli.start(define_flags, run, __doc__)


if __name__ == "__main__":
    main()
