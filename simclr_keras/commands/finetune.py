"""Fine-tunes a pretrained encoder on labelled images, few or many."""

from simclr_keras.commands import cli
from simclr_keras.commands import shared_flags
from simclr_keras.commands.flag_kinds import Group

FIRST_OF_CLASSIFIERS = (
    "checkpoint",
    "dataset",
    "model_dir",
    "train_split",
    "eval_split",
    "label_fraction",
    "train_batch_size",
    "train_epochs",
    "learning_rate",
)
FIRST = (*FIRST_OF_CLASSIFIERS, "fine_tune_after_block")
EXAMPLE = (
    "simclr-finetune --checkpoint=runs/photos --dataset=folder:/photos"
    " --label_fraction=0.1 --model_dir=runs/photos_10pct"
)


def define_classifier(values, *, epochs, rate, baseline):
    """Defines all flags of the commands that train a classifier but their own.

    Args:
        values: `FlagValues`.
        epochs: default of `--train_epochs`.
        rate: default of `--learning_rate`.
        baseline: what `--from_scratch` gives, in words.
    """
    shared_flags.define_data(values)
    shared_flags.define_splits(values)
    shared_flags.define_cache(values)
    Group(values, "data").float(
        "label_fraction",
        1.0,
        "Share of the training images whose labels are used, class-balanced"
        " and chosen by --seed: 0.01 is 1 %.",
        least=0.0,
        most=1.0,
    )
    shared_flags.define_views(values, color_strength=0.0)
    shared_flags.define_checkpoint(values)
    network = Group(values, "network")
    network.boolean(
        "from_scratch",
        False,
        "Forget the checkpoint's weights and keep its architecture: the"
        f" {baseline} baseline.",
    )
    network.integer(
        "ft_proj_selector",
        0,
        "Output of the projection head that is classified: 0 is h, 1 its first"
        " layer's (SimCLRv2), -1 is z.",
    )
    shared_flags.define_training(
        values,
        batch=256,
        epochs=epochs,
        rate=rate,
        optimizer="momentum",
        decay=0.0,
        warmup=0.0,
    )
    values.set_default("nesterov", True)
    shared_flags.define_run(values)
    shared_flags.define_replicas(values)
    shared_flags.define_checkpoints(values)


def define_flags(values):
    """Defines the flags of `simclr-finetune`."""
    define_classifier(values, epochs=60, rate=0.05, baseline="supervised")
    Group(values, "training").integer(
        "fine_tune_after_block",
        -1,
        "Freeze the stem and the block groups up to this one; -1: train"
        " everything, 4: a ResNet's encoder is frozen.",
        least=-1,
    )


def run(settings):
    """Fine-tunes as the settings say; returns the results that it wrote."""
    cli.require(settings, "model_dir", "eval_split", "checkpoint")
    from simclr_keras.commands import classify  # loads TensorFlow

    block = settings.fine_tune_after_block
    return classify.run(settings, freeze="none" if block < 0 else block)


def main():
    """Entry point of `simclr-finetune`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
