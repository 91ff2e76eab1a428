"""Says what each `--task` trains, measures and writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import simclr_keras as sk
from simclr_keras.commands.common import label_flags

_MOST_WITHOUT_TOP5 = 5


@dataclasses.dataclass(frozen=True)
class Task:
    """A kind of labels.

    Attributes:
        activation: `activation` of the `Classifier`.
        loss: loss that it is trained with, a name.
        metrics: function of the number K of outputs that returns the metrics of
            the training.
        measure: function of `(names, labels, predicted)` that returns a dict of
            results: of the names of the outputs, the labels of n images, and
            the outputs for them, `[n, K]` (or, for one class of K, the
            predicted classes `[n]` alone).
        write: function of `(directory, names, labels, predicted)` that writes
            figures of each output to a `RunDirectory`.
    """

    activation: str
    loss: str
    metrics: Callable[[int], list]
    measure: Callable[..., dict[str, float]]
    write: Callable[..., None]


def of(flags: Any) -> Task:
    """The `Task` of `--task`."""
    return _TASKS[flags.task]


def described(flags: Any) -> dict[str, str]:
    """Entry of the results that names a task other than classification."""
    if flags.task == label_flags.CLASSIFICATION:
        return {}
    return {"task": flags.task}


def check_targets(source: Any, held_out: Any) -> None:
    """Checks the labels; warns of what cannot be learnt or measured.

    Args:
        source: `data.Source` of the training images.
        held_out: `data.Source` of the evaluation images.

    Raises:
        ValueError: a number is the same for all training images.
    """
    import numpy as np

    noun = {"multilabel": "labels", "regression": "numbers"}
    noun = noun.get(source.task, "classes")
    names = source.class_names
    if source.task == "regression":
        from simclr_keras.models import target_scale

        target_scale.measure(source.labels, names)
        same = np.ptp(held_out.labels, axis=0) == 0
        images = f"is the same for all {held_out.num_examples} test images"
        _caution(names, same, noun, f"have no R2, as each {images}")
        return
    if source.task == "multilabel":
        counts = [each.labels.sum(axis=0) for each in (source, held_out)]
        images = f"none of the {held_out.num_examples} test images has them"
        what = f"have no average precision, as {images}"
        _caution(names, counts[1] == 0, noun, what)
        learnt = counts[0] > 0
    elif source.labels is not None:  # not those of a stream
        learnt = np.bincount(source.labels, minlength=len(names)) > 0
    else:
        return
    images = f"none of the {source.num_examples} training images has them"
    _caution(names, ~learnt, noun, f"cannot be learnt, as {images}")


def _caution(names, chosen, noun, what):
    """Prints what holds of the chosen names, if there are any."""
    some = [name for name, is_one in zip(names, chosen) if is_one]
    if some:
        print(
            f"Caution: {len(some)} of the {len(names)} {noun} {what}:"
            f" {', '.join(some[:10])}" + (", ..." if len(some) > 10 else "")
        )


def _class_metrics(num_classes):
    import keras

    metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if num_classes > _MOST_WITHOUT_TOP5:
        metrics.append(
            keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5")
        )
    return metrics


def _label_metrics(num_labels):
    import keras

    return [
        keras.metrics.BinaryAccuracy(name="accuracy"),
        keras.metrics.AUC(
            curve="PR", multi_label=True, num_labels=num_labels, name="auc_pr"
        ),
    ]


def _number_metrics(num_targets):
    import keras

    # Errors in different units cannot be added up.
    single = num_targets == 1
    return [keras.metrics.RootMeanSquaredError(name="rmse")] if single else []


def _measure_classes(names, labels, predicted):
    import numpy as np

    results, predictions = {}, predicted
    if predicted.ndim == 2:
        right = predicted[np.arange(len(labels)), labels]
        results = {
            "accuracy": sk.evaluation.top_k_accuracy(predicted, labels, 1),
            "loss": float(-np.log(np.maximum(right, 1e-7)).mean()),
        }
        if len(names) > _MOST_WITHOUT_TOP5:
            top5 = sk.evaluation.top_k_accuracy(predicted, labels, 5)
            results["top5"] = top5
        predictions = predicted.argmax(axis=1)
    mean = sk.evaluation.mean_per_class_accuracy(predictions, labels)
    return _rounded({**results, "mean_per_class_accuracy": mean})


def _measure_labels(names, labels, probabilities):
    import numpy as np

    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    losses = np.where(labels > 0.5, -np.log(p), -np.log1p(-p))
    results = {
        "mean_average_precision": sk.evaluation.mean_average_precision(
            probabilities, labels
        ),
        "accuracy": float(((probabilities > 0.5) == (labels > 0.5)).mean()),
        "loss": float(losses.mean()),
    }
    without = int((labels.sum(axis=0) == 0).sum())
    return {
        **_rounded(results),
        **({"labels_without_test_images": without} if without else {}),
    }


def _measure_numbers(names, targets, predictions):
    import numpy as np

    figures = sk.evaluation.regression_figures(predictions, targets)
    if len(names) == 1:
        kinds = ("mse", "rmse", "mae", "r2")
        return _rounded({kind: getattr(figures, kind)[0] for kind in kinds})
    known = figures.r2[np.isfinite(figures.r2)]
    results = {"mean_r2": known.mean() if len(known) else np.nan}
    for k, name in enumerate(names):
        for kind in ("rmse", "r2"):
            results[f"{kind} of {name}"] = getattr(figures, kind)[k]
    without = len(names) - len(known)
    return {
        **_rounded(results),
        **({"numbers_without_r2": without} if without else {}),
    }


def _rounded(results):
    """Errors in six significant digits, others in six decimals; NaN as None."""
    from simclr_keras.evaluation import result_names

    rounded = {}
    for name, value in results.items():
        error = result_names.kind_of(name) == result_names.ERROR
        number = float(f"{value:.6g}" if error else f"{value:.6f}")
        rounded[name] = None if number != number else number
    return rounded


def _write_classes(directory, names, labels, predicted):
    from simclr_keras.report import classes

    if predicted.ndim == 2:
        predicted = predicted.argmax(axis=1)
    classes.write(directory, names, labels, predicted)


def _write_labels(directory, names, labels, probabilities):
    from simclr_keras.report import label_figures

    label_figures.write(directory, names, labels, probabilities)


def _write_numbers(directory, names, targets, predictions):
    from simclr_keras.report import number_figures

    number_figures.write(directory, names, targets, predictions)


_TASKS = {
    "classification": Task(
        "softmax",
        "sparse_categorical_crossentropy",
        _class_metrics,
        _measure_classes,
        _write_classes,
    ),
    "multilabel": Task(
        "sigmoid",
        "binary_crossentropy",
        _label_metrics,
        _measure_labels,
        _write_labels,
    ),
    "regression": Task(
        "linear",
        "mse",
        _number_metrics,
        _measure_numbers,
        _write_numbers,
    ),
}
