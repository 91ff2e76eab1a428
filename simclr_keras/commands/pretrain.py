"""Pretrains an encoder on unlabelled images by contrasting two views."""

from absl import flags

from simclr_keras.commands import cli
from simclr_keras.commands import data_flags
from simclr_keras.commands import model_flags
from simclr_keras.commands import required
from simclr_keras.commands import run_flags


def define_flags(values):
    """Defines the flags of `simclr-pretrain`."""
    run_flags.define_run(values)
    run_flags.define_strategy(values)
    run_flags.define_logging(values)
    run_flags.define_speed(values)
    data_flags.define_data(values)
    data_flags.define_splits(values, eval_split=None)
    model_flags.define_network(values)
    model_flags.define_optimization(
        values,
        batch=512,
        epochs=100,
        rate=0.3,
        optimizer="lars",
        decay=1e-6,
        warmup=10.0,
    )
    flags.DEFINE_integer(
        "micro_batch_size",
        None,
        "Images of the global batch that go through the networks at a time, by"
        " gradient caching: memory of so many for one more forward pass, and"
        " the loss of the whole batch; batch norm is that of so many. None or"
        " 0: all of them.",
        lower_bound=0,
        flag_values=values,
    )
    data_flags.define_views(values, color_strength=1.0)
    _define_contrast(values)
    flags.DEFINE_boolean(
        "lineareval_while_pretraining",
        True,
        "Train an online linear probe behind a stop-gradient where the data"
        " has labels.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "probe_dataset",
        None,
        "Labelled data set of the online probe, if not the training images.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "eval_every_epochs",
        0,
        "Epochs between validation and kNN evaluation; 0: at the end only.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "knn_k", 200, "Neighbours that vote.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "knn_images",
        50_000,
        "Training images kept as neighbours, at most.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "preview_views",
        False,
        "Write a picture of the views of one batch to --model_dir and stop.",
        flag_values=values,
    )


def _define_contrast(values):
    flags.DEFINE_enum(
        "loss",
        "nt_xent",
        ["nt_xent", "nt_logistic", "margin_triplet"],
        "Contrastive loss.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "temperature",
        0.1,
        "Temperature of the loss.",
        lower_bound=1e-4,
        flag_values=values,
    )
    flags.DEFINE_float(
        "margin",
        0.8,
        "Margin of margin_triplet.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "semi_hard",
        True,
        "Semi-hard negatives for nt_logistic and margin_triplet.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "hidden_norm", True, "Normalise z in the loss.", flag_values=values
    )
    flags.DEFINE_enum(
        "proj_head_mode",
        "nonlinear",
        ["none", "linear", "nonlinear"],
        "Projection head between h and the loss.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "proj_out_dim",
        128,
        "Width of its output z.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "proj_hidden_dim",
        0,
        "Width of its hidden layers; 0: that of h.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_proj_layers",
        3,
        "Layers of the nonlinear head.",
        lower_bound=1,
        flag_values=values,
    )


def run(settings):
    """Pretrains as the settings say; returns the results that it wrote."""
    required.check(settings, "model_dir")
    from simclr_keras.commands import pretraining

    return pretraining.run(settings)


def main():
    """Entry point of `simclr-pretrain`."""
    cli.start(define_flags, run, __doc__)


if __name__ == "__main__":
    main()
