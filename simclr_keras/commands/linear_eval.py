"""Trains a linear classifier on a frozen, pretrained encoder."""

import simclr_keras as sk
from simclr_keras.commands import classify
from simclr_keras.commands import cli
from simclr_keras.commands.flag_kinds import Group

FIRST = (*classify.FIRST, "protocol")
EXAMPLE = (
    "simclr-linear-eval --checkpoint=runs/photos --dataset=folder:/photos"
    " --model_dir=runs/photos_linear"
)


def define_flags(values):
    """Defines the flags of `simclr-linear-eval`."""
    classify.define_flags(
        values, epochs=90, rate=0.1, baseline="randomly initialised"
    )
    training = Group(values, "training")
    training.choice(
        "protocol",
        "gradient",
        ["gradient", *_PROTOCOLS],
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
    measure = _PROTOCOLS.get(settings.protocol)
    return classify.run(settings, freeze="all", measure_features=measure)


def _cached(settings, *features):
    """Results of gradient descent on features and labels of both sets."""
    best = sk.evaluation.linear_accuracy(
        *features,
        epochs=settings.train_epochs,
        batch_size=settings.train_batch_size,
        seed=settings.seed,
    )
    return {
        "accuracy": round(best.accuracy, 6),
        "top5": round(best.top5_accuracy, 6),
    }


def _lbfgs(settings, *features):
    """Results of logistic regression."""
    best = sk.evaluation.logistic_regression(*features, seed=settings.seed)
    return {"accuracy": round(float(best.accuracy), 6), "l2": best.l2}


def _knn(settings, *features):
    """Results of a vote of neighbours."""
    k = min(settings.knn_k, len(features[0]))
    accuracy = sk.evaluation.knn_accuracy(
        *features, k=k, temperature=settings.knn_temperature
    )
    return {"accuracy": round(float(accuracy), 6), "k": k}


# What `--protocol` measures features by; "gradient" trains on the images.
_PROTOCOLS = {"cached": _cached, "lbfgs": _lbfgs, "knn": _knn}


def main():
    """Entry point of `simclr-linear-eval`."""
    cli.start(
        define_flags,
        run,
        __doc__,
        first=FIRST,
        example=EXAMPLE,
        draws_views=True,
    )


if __name__ == "__main__":
    main()
