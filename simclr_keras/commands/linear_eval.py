"""Trains a linear classifier on a frozen, pretrained encoder."""

from absl import flags

from simclr_keras.commands import classifier_flags
from simclr_keras.commands import cli
from simclr_keras.commands import required


def define_flags(values):
    """Defines the flags of `simclr-linear-eval`."""
    classifier_flags.define_classifier(
        values, epochs=90, rate=0.1, baseline="randomly initialised"
    )
    flags.DEFINE_enum(
        "protocol",
        "gradient",
        ["gradient", "cached", "lbfgs", "knn"],
        "gradient: the paper's, on augmented images. On features computed once,"
        " without augmentation, and without the flags of the optimizer: cached"
        " (gradient descent on standardised features), lbfgs (45 L2 values,"
        " chosen on held-out training images), knn (no training).",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "knn_k", 200, "Neighbours that vote.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_float(
        "knn_temperature",
        0.1,
        "Temperature of their votes.",
        lower_bound=1e-4,
        flag_values=values,
    )


def run(settings):
    """Evaluates as the settings say; returns the results that it wrote."""
    required.check(settings, "model_dir", "eval_split", "checkpoint")
    from simclr_keras.commands import classifying

    return classifying.linear_eval(settings)


def main():
    """Entry point of `simclr-linear-eval`."""
    cli.start(define_flags, run, __doc__)


if __name__ == "__main__":
    main()
