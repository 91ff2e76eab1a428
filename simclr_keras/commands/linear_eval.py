"""Trains a linear classifier on a frozen, pretrained encoder."""

from simclr_keras.commands import cli
from simclr_keras.commands import finetune
from simclr_keras.commands.flag_kinds import Group

FIRST = (*finetune.FIRST_OF_CLASSIFIERS, "protocol")
EXAMPLE = (
    "simclr-linear-eval --checkpoint=runs/photos --dataset=folder:/photos"
    " --model_dir=runs/photos_linear"
)


def define_flags(values):
    """Defines the flags of `simclr-linear-eval`."""
    finetune.define_classifier(
        values, epochs=90, rate=0.1, baseline="randomly initialised"
    )
    training = Group(values, "training")
    training.choice(
        "protocol",
        "gradient",
        ["gradient", "cached", "lbfgs", "knn"],
        "gradient: the paper's, on augmented images. On features computed once,"
        " without augmentation, and without the flags of the optimizer: cached"
        " (gradient descent on standardised features), lbfgs (45 L2 values,"
        " chosen on held-out training images), knn (no training).",
    )
    training.integer("knn_k", 200, "Neighbours that vote.", least=1)
    training.float(
        "knn_temperature", 0.1, "Temperature of their votes.", least=1e-4
    )


def run(settings):
    """Evaluates as the settings say; returns the results that it wrote."""
    cli.require(settings, "model_dir", "eval_split", "checkpoint")
    from simclr_keras.commands import classify  # loads TensorFlow

    freeze = "all" if settings.protocol == "gradient" else None
    return classify.run(settings, freeze)


def main():
    """Entry point of `simclr-linear-eval`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
