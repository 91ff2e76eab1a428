"""Trains a linear classifier on a frozen, pretrained encoder."""

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import classify
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import label_flags
from simclr_keras.commands.common.flag_kinds import Group

FIRST = (*classify.FIRST, "protocol")
EXAMPLE = (
    "simclr-linear-eval --checkpoint=runs/photos --dataset=folder:/photos"
    " --model_dir=runs/photos_linear"
)

_LABELS = "labels"


def define_flags(values):
    """Defines the flags of `simclr-linear-eval`."""
    classify.define_flags(
        values, epochs=90, rate=0.1, baseline="randomly initialised"
    )
    training = Group(values, "training")
    training.choice(
        "protocol",
        "gradient",
        ["gradient", *_OF_CLASSES],
        "gradient: the paper's, on augmented images. On features computed once,"
        " without augmentation, and without the flags of the optimizer: cached"
        " (gradient descent on standardised features), lbfgs (45 L2 values,"
        " chosen on held-out training images), mlp (not linear: a hidden layer"
        " of 512 units, by Adam), knn (no training). --task=multilabel and"
        " regression: gradient or cached.",
    )
    training.choice(
        "predict",
        _LABELS,
        [_LABELS, *choices.TRANSFORMATIONS],
        "What is predicted from the features. labels: those of the data set."
        " Otherwise what was done to an image, drawn by --seed, all classes"
        " equally likely, and the data set needs no labels. gray: colour or"
        " grey; rotation: 0, 90, 180 or 270 degrees; noise: original or"
        " Gaussian noise; sobel: original or Sobel's edges. Not with"
        " --protocol=gradient.",
    )
    training.integer("knn_k", 200, "Neighbours that vote.", least=1)
    training.float(
        "knn_temperature",
        0.1,
        "Temperature of the kNN votes, exp(similarity / temperature).",
        least=1e-4,
    )


def run(flags):
    """Evaluates as the flags say; returns the results that it wrote."""
    _check_prediction(flags)
    protocols = _PROTOCOLS[flags.task]
    _check_protocol(flags, protocols)
    if flags.class_weight != "none" and flags.protocol in protocols:
        raise ValueError(
            "--class_weight must be none for a protocol on features that are"
            " computed once; --protocol=gradient takes it. Received:"
            f" --class_weight={flags.class_weight},"
            f" --protocol={flags.protocol}"
        )
    if flags.callbacks and flags.protocol in protocols:
        raise ValueError(
            "--callbacks must be left out for a protocol on features that are"
            " computed once; --protocol=gradient calls them. Received:"
            f" --callbacks={' '.join(flags.callbacks)},"
            f" --protocol={flags.protocol}"
        )
    return classify.run(
        flags,
        freeze="all",
        measure_features=protocols.get(flags.protocol),
        predict=None if flags.predict == _LABELS else flags.predict,
    )


def _check_prediction(flags):
    """Refuses flags that make no sense for predicting a transformation."""
    if flags.predict == _LABELS:
        return
    label_flags.require_classes(flags, f"--predict={flags.predict}")
    if flags.protocol not in _OF_CLASSES:
        raise ValueError(
            f"--protocol must be one of {', '.join(_OF_CLASSES)} with"
            " --predict, as it needs features that are computed once. Received:"
            f" --predict={flags.predict}, --protocol={flags.protocol}"
        )
    if flags.label_fraction != 1:
        raise ValueError(
            "--label_fraction must be left out with --predict, as every image"
            " has such a label; --train_split=train[:10%] takes fewer images."
            f" Received: --predict={flags.predict},"
            f" --label_fraction={flags.label_fraction:g}"
        )


def _check_protocol(flags, protocols):
    """Refuses protocols that are for one class of an image."""
    if flags.protocol not in ("gradient", *protocols):
        raise ValueError(
            f"--protocol must be one of gradient, {', '.join(protocols)} with"
            f" --task={flags.task}; the others tell one class of an image."
            f" Received: --protocol={flags.protocol}"
        )


def _cached(flags, *features):
    """Results and predictions of gradient descent on cached features."""
    best = sk.evaluation.linear_accuracy(*features, **_descent(flags))
    results = {
        "accuracy": round(best.accuracy, 6),
        "top5": round(best.top5_accuracy, 6),
    }
    return results, best.predictions


def _lbfgs(flags, *features):
    """Results and predictions of logistic regression."""
    best = sk.evaluation.logistic_regression(*features, seed=flags.seed)
    results = {"accuracy": round(float(best.accuracy), 6), "l2": best.l2}
    return results, best.predictions


def _mlp(flags, *features):
    """Results and predictions of a classifier with a hidden layer."""
    best = sk.evaluation.mlp_accuracy(*features, **_descent(flags))
    return {"accuracy": round(best.accuracy, 6)}, best.predictions


def _knn(flags, *features):
    """Results and predictions of kNN."""
    *known, labels = features
    k = min(flags.knn_k, len(known[0]))
    predictions = sk.evaluation.knn_predict(
        *known, k=k, temperature=flags.knn_temperature
    )
    accuracy = float((predictions == labels).mean())
    return {"accuracy": round(accuracy, 6), "k": k}, predictions


def _cached_labels(flags, train_h, train_y, test_h, test_y):
    """No results, and probabilities by gradient descent on cached features."""
    del test_y
    return {}, sk.evaluation.linear_probabilities(
        train_h, train_y, test_h, **_descent(flags)
    )


def _cached_numbers(flags, train_h, train_y, test_h, test_y):
    """No results, and predictions by gradient descent on cached features."""
    del test_y
    return {}, sk.evaluation.linear_predictions(
        train_h, train_y, test_h, **_descent(flags)
    )


def _descent(flags):
    """Arguments of the functions that train on cached features."""
    return {
        "epochs": flags.train_epochs,
        "batch_size": flags.train_batch_size,
        "seed": flags.seed,
    }


# The protocols on features computed once; "gradient" trains on the images.
_OF_CLASSES = {"cached": _cached, "lbfgs": _lbfgs, "mlp": _mlp, "knn": _knn}
_PROTOCOLS = {
    "classification": _OF_CLASSES,
    "multilabel": {"cached": _cached_labels},
    "regression": {"cached": _cached_numbers},
}


main = cli.training_command(define_flags, run, __doc__, FIRST, EXAMPLE)


if __name__ == "__main__":
    main()
