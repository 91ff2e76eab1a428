"""Fine-tunes a pretrained encoder on labelled images, few or many."""

from simclr_keras.commands.common import classify
from simclr_keras.commands.common import cli
from simclr_keras.commands.common.flag_kinds import Group

FIRST = (*classify.FIRST, "fine_tune_after_block")
EXAMPLE = (
    "simclr-finetune --checkpoint=runs/photos --dataset=folder:/photos"
    " --label_fraction=0.1 --model_dir=runs/photos_10pct"
)


def define_flags(values):
    """Defines the flags of `simclr-finetune`."""
    classify.define_flags(values, epochs=60, rate=0.05, baseline="supervised")
    Group(values, "training").integer(
        "fine_tune_after_block",
        -1,
        "Freeze the stem and the block groups up to this one; -1: train"
        " everything, 4: a ResNet's encoder is frozen.",
        least=-1,
    )


def run(flags):
    """Fine-tunes as the flags say; returns the results that it wrote."""
    block = flags.fine_tune_after_block
    return classify.run(flags, freeze="none" if block < 0 else block)


main = cli.training_command(define_flags, run, __doc__, FIRST, EXAMPLE)


if __name__ == "__main__":
    main()
