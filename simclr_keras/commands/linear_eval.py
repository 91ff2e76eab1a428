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
        "knn_temperature", 0.1, "Temperature of their votes.", least=1e-4
    )


def run(settings):
    """Evaluates as the settings say; returns the results that it wrote."""
    _check_prediction(settings)
    protocols = _PROTOCOLS[settings.task]
    _check_protocol(settings, protocols)
    if settings.class_weight != "none" and settings.protocol in protocols:
        raise ValueError(
            "--class_weight must be none for a protocol on features that are"
            " computed once; --protocol=gradient takes it. Received:"
            f" --class_weight={settings.class_weight},"
            f" --protocol={settings.protocol}"
        )
    if settings.callbacks and settings.protocol in protocols:
        raise ValueError(
            "--callbacks must be left out for a protocol on features that are"
            " computed once; --protocol=gradient calls them. Received:"
            f" --callbacks={' '.join(settings.callbacks)},"
            f" --protocol={settings.protocol}"
        )
    return classify.run(
        settings,
        freeze="all",
        measure_features=protocols.get(settings.protocol),
        predict=None if settings.predict == _LABELS else settings.predict,
    )


def _check_prediction(settings):
    """Refuses flags that make no sense for predicting a transformation."""
    if settings.predict == _LABELS:
        return
    label_flags.require_classes(settings, f"--predict={settings.predict}")
    if settings.protocol not in _OF_CLASSES:
        raise ValueError(
            f"--protocol must be one of {', '.join(_OF_CLASSES)} with"
            " --predict, as it needs features that are computed once. Received:"
            f" --predict={settings.predict}, --protocol={settings.protocol}"
        )
    if settings.label_fraction != 1:
        raise ValueError(
            "--label_fraction must be left out with --predict, as every image"
            " has such a label; --train_split=train[:10%] takes fewer images."
            f" Received: --predict={settings.predict},"
            f" --label_fraction={settings.label_fraction:g}"
        )


def _check_protocol(settings, protocols):
    """Refuses protocols that are for one class of an image."""
    if settings.protocol not in ("gradient", *protocols):
        raise ValueError(
            f"--protocol must be one of gradient, {', '.join(protocols)} with"
            f" --task={settings.task}; the others tell one class of an image."
            f" Received: --protocol={settings.protocol}"
        )


def _cached(settings, *features):
    """Results and predictions of gradient descent on cached features."""
    best = sk.evaluation.linear_accuracy(*features, **_descent(settings))
    results = {
        "accuracy": round(best.accuracy, 6),
        "top5": round(best.top5_accuracy, 6),
    }
    return results, best.predictions


def _lbfgs(settings, *features):
    """Results and predictions of logistic regression."""
    best = sk.evaluation.logistic_regression(*features, seed=settings.seed)
    results = {"accuracy": round(float(best.accuracy), 6), "l2": best.l2}
    return results, best.predictions


def _mlp(settings, *features):
    """Results and predictions of a classifier with a hidden layer."""
    best = sk.evaluation.mlp_accuracy(*features, **_descent(settings))
    return {"accuracy": round(best.accuracy, 6)}, best.predictions


def _knn(settings, *features):
    """Results and predictions of kNN."""
    *known, labels = features
    k = min(settings.knn_k, len(known[0]))
    predictions = sk.evaluation.knn_predict(
        *known, k=k, temperature=settings.knn_temperature
    )
    accuracy = float((predictions == labels).mean())
    return {"accuracy": round(accuracy, 6), "k": k}, predictions


def _cached_labels(settings, train_h, train_y, test_h, test_y):
    """No results, and probabilities by gradient descent on cached features."""
    del test_y
    return {}, sk.evaluation.linear_probabilities(
        train_h, train_y, test_h, **_descent(settings)
    )


def _cached_numbers(settings, train_h, train_y, test_h, test_y):
    """No results, and predictions by gradient descent on cached features."""
    del test_y
    return {}, sk.evaluation.linear_predictions(
        train_h, train_y, test_h, **_descent(settings)
    )


def _descent(settings):
    """Arguments of the functions that train on cached features."""
    return {
        "epochs": settings.train_epochs,
        "batch_size": settings.train_batch_size,
        "seed": settings.seed,
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
