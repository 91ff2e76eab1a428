"""Flags of the commands that train a classifier, all but their own."""

from absl import flags

from simclr_keras.commands import data_flags
from simclr_keras.commands import model_flags
from simclr_keras.commands import run_flags


def define_classifier(values, *, epochs, rate, baseline):
    """Defines them.

    Args:
        values: `FlagValues` to define them on.
        epochs: default of `--train_epochs`.
        rate: default of `--learning_rate`.
        baseline: what `--from_scratch` gives, in words.
    """
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
        epochs=epochs,
        rate=rate,
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
        f" {baseline} baseline.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "ft_proj_selector",
        0,
        "Output of the projection head that is classified: 0 is h, 1 its first"
        " layer's (SimCLRv2), -1 is z.",
        flag_values=values,
    )
