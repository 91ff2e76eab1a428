"""Trains a linear classifier on a frozen, pretrained encoder."""

from absl import flags

from simclr_keras.commands import cli
from simclr_keras.commands import data_flags
from simclr_keras.commands import model_flags
from simclr_keras.commands import run_flags


def define_flags(values):
    """Defines the flags of `simclr-linear-eval`."""
    run_flags.define_run(values)
    run_flags.define_strategy(values)
    run_flags.define_logging(values)
    run_flags.define_speed(values)
    data_flags.define_data(values)
    data_flags.define_splits(values)
    data_flags.define_label_fraction(values)
    model_flags.define_optimization(
        values,
        batch=256,
        epochs=90,
        rate=0.1,
        optimizer="momentum",
        decay=0.0,
        warmup=0.0,
    )
    values.set_default("nesterov", True)
    data_flags.define_views(values, color_strength=0.0)
    model_flags.define_checkpoint(values)
    flags.DEFINE_boolean(
        "from_scratch",
        False,
        "Forget the checkpoint's weights and keep its architecture: the"
        " randomly initialised baseline.",
        flag_values=values,
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
        "ft_proj_selector",
        0,
        "Output of the projection head that is classified: 0 is h, -1 is z.",
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
    from simclr_keras.commands import classifying

    return classifying.linear_eval(settings)


def main():
    """Entry point of `simclr-linear-eval`."""
    cli.start(define_flags, run, __doc__)


if __name__ == "__main__":
    main()
