"""Fine-tunes a pretrained encoder on labelled images, few or many."""

from absl import flags

from simclr_keras.commands import classifier_flags
from simclr_keras.commands import cli
from simclr_keras.commands import required


def define_flags(values):
    """Defines the flags of `simclr-finetune`."""
    classifier_flags.define_classifier(
        values, epochs=60, rate=0.05, baseline="supervised"
    )
    flags.DEFINE_integer(
        "fine_tune_after_block",
        -1,
        "Freeze the stem and the block groups up to this one; -1: train"
        " everything, 4: a ResNet's encoder is frozen.",
        lower_bound=-1,
        flag_values=values,
    )


def run(settings):
    """Fine-tunes as the settings say; returns the results that it wrote."""
    required.check(settings, "model_dir", "eval_split", "checkpoint")
    from simclr_keras.commands import classifying

    return classifying.finetune(settings)


def main():
    """Entry point of `simclr-finetune`."""
    cli.start(define_flags, run, __doc__)


if __name__ == "__main__":
    main()
