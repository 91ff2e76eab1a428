"""Fine-tunes a pretrained encoder on labelled images, few or many."""

from absl import flags

from simclr_keras.commands import cli
from simclr_keras.commands import data_flags
from simclr_keras.commands import model_flags
from simclr_keras.commands import run_flags


def define_flags(values):
    """Defines the flags of `simclr-finetune`."""
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
        epochs=60,
        rate=0.05,
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
        " supervised baseline.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "fine_tune_after_block",
        -1,
        "Freeze the stem and the block groups up to this one; -1: train"
        " everything, 4: a ResNet's encoder is frozen.",
        lower_bound=-1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "ft_proj_selector",
        0,
        "Output of the projection head that is classified: 0 is h, 1 its first"
        " layer's (SimCLRv2), -1 is z.",
        flag_values=values,
    )


def run(settings):
    """Fine-tunes as the settings say; returns the results that it wrote."""
    from simclr_keras.commands import classifying

    return classifying.finetune(settings)


def main():
    """Entry point of `simclr-finetune`."""
    cli.start(define_flags, run, __doc__)


if __name__ == "__main__":
    main()
