"""Checks that losses and labels fit the meaning of a classifier's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import scalars
from simclr_keras.models import batches

ACTIVATIONS = {
    "softmax": tf.nn.softmax,
    "sigmoid": tf.nn.sigmoid,
    "linear": tf.identity,
}
_ONE_CLASS = "one class for each image"
_SEVERAL = "several labels of one image at once"
_NUMBERS = "numbers"
_MEANT_FOR = {
    "sparsecategoricalcrossentropy": _ONE_CLASS,
    "categoricalcrossentropy": _ONE_CLASS,
    "categoricalfocalcrossentropy": _ONE_CLASS,
    "binarycrossentropy": _SEVERAL,
    "binaryfocalcrossentropy": _SEVERAL,
    "meansquarederror": _NUMBERS,
    "meanabsoluteerror": _NUMBERS,
    "meanabsolutepercentageerror": _NUMBERS,
    "meansquaredlogarithmicerror": _NUMBERS,
    "huber": _NUMBERS,
    "logcosh": _NUMBERS,
}
_ACTIVATION_FOR = {
    _ONE_CLASS: "softmax",
    _SEVERAL: "sigmoid",
    _NUMBERS: "linear",
}
# Squared errors of probabilities are a loss that people use.
_FITTING = {
    "softmax": (_ONE_CLASS,),
    "sigmoid": (_SEVERAL, _NUMBERS),
    "linear": (_NUMBERS,),
}


def check_activation(activation: str | None, num_classes: int) -> str:
    """Checks an activation and the number of outputs; returns its name.

    Args:
        activation: `"softmax"`, `"sigmoid"`, `"linear"` or None for linear.
        num_classes: number of outputs.

    Raises:
        ValueError: another activation, or too few outputs.
    """
    activation = "linear" if activation is None else activation
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)}. Received:"
            f" activation={activation!r}"
        )
    least = 2 if activation == "softmax" else 1
    if not scalars.is_whole(num_classes) or num_classes < least:
        raise ValueError(
            f"num_classes must be an integer of at least {least}. Received:"
            f" num_classes={num_classes!r}, activation={activation!r}"
        )
    return activation


def check_class_weights(
    weights: Sequence[float] | None, num_classes: int, activation: str
) -> list[float] | None:
    """Checks the weights of classes; returns them as a list of floats.

    Args:
        weights: K numbers, or None.
        num_classes: K.
        activation: name of the activation.

    Raises:
        ValueError: a weight is not above 0, their number is not that of the
            classes, or the activation is not `"softmax"`.
    """
    if weights is None:
        return None
    weights = [float(weight) for weight in weights]
    wrong = not all(0 < weight < float("inf") for weight in weights)
    if wrong or len(weights) != num_classes or activation != "softmax":
        raise ValueError(
            f"class_weights must be {num_classes} numbers above 0, one for each"
            " class, and activation must be 'softmax'. Received:"
            f" class_weights={weights}, activation={activation!r}"
        )
    return weights


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> list[float]:
    """Weights with which all classes count equally in the loss.

    A class with n_k of the n images has the weight `n / (K n_k)`, where K is
    the number of classes that occur, so the mean weight of the images is 1. A
    class without images has the weight 1.

    Args:
        labels: integers `[n]`, 0 to num_classes - 1.
        num_classes: number of classes.

    Raises:
        ValueError: a label is something else.
    """
    labels = np.asarray(labels)
    whole = np.issubdtype(labels.dtype, np.integer) and labels.ndim == 1
    if not whole or not np.isin(labels, np.arange(num_classes)).all():
        raise ValueError(
            f"labels must be integers [n] from 0 to {num_classes - 1}."
            f" Received: {labels.dtype} of shape {labels.shape}, such as"
            f" {np.unique(labels)[-3:]}"
        )
    counts = np.bincount(labels, minlength=num_classes)
    present = np.count_nonzero(counts)
    return [
        len(labels) / (present * count) if count else 1.0
        for count in counts.tolist()
    ]


def weights_of(
    targets: tf.Tensor,
    class_weights: list[float],
    sample_weight: tf.Tensor | None = None,
) -> tf.Tensor:
    """Weight of each image of a batch by its class, float32 `[B]`.

    Args:
        targets: numbers of classes `[B]` or `[B, 1]`, or one-hot `[B, K]`.
        class_weights: K numbers.
        sample_weight: other weights of the images, `[B]`, to multiply by; or
            None.
    """
    weights = tf.constant(class_weights, tf.float32)
    if targets.shape.rank == 2 and targets.shape[1] == len(class_weights):
        weights = tf.linalg.matvec(tf.cast(targets, tf.float32), weights)
    else:
        numbers = tf.reshape(tf.cast(targets, tf.int32), [-1])
        weights = tf.gather(weights, numbers)
    if sample_weight is None:
        return weights
    return weights * tf.cast(sample_weight, weights.dtype)


def check_loss(loss: Any, activation: str) -> None:
    """Checks that a loss fits the meaning of the outputs.

    Args:
        loss: Keras loss, its name, or a function. Unknown ones are accepted.
        activation: name of the activation.

    Raises:
        ValueError: the loss needs another activation, or logits in place of
            probabilities.
    """
    meant, from_logits = _meaning(loss), _from_logits(loss)
    if meant is None or meant in _FITTING[activation]:
        # In a graph, Keras's crossentropies find the logits behind a softmax or
        # sigmoid; run eagerly, they do not, and the focal ones never do.
        if from_logits and activation != "linear":
            raise ValueError(
                "the loss must take probabilities, which a Classifier with"
                f" activation={activation!r} returns: leave out from_logits."
                f" Received: {_name(loss)}(from_logits=True)"
            )
        return
    if activation == "linear" and from_logits:
        return
    raise ValueError(
        f"the loss must fit what the outputs mean: it is for {meant}, which a"
        f" Classifier has with activation={_ACTIVATION_FOR[meant]!r}."
        f" Received: loss={_name(loss)}, activation={activation!r}"
    )


def is_sparse(loss: Any) -> bool:
    """Whether a loss takes integer class labels, not one-hot rows."""
    return _plain_name(loss) == "sparsecategoricalcrossentropy"


def _meaning(loss):
    return _MEANT_FOR.get(_plain_name(loss))


def _plain_name(loss):
    return _name(loss).replace("_", "").lower()


def _name(loss):
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return type(loss).__name__
    return getattr(loss, "__name__", "")


def _from_logits(loss):
    if isinstance(loss, keras.losses.Loss):
        return bool(loss.get_config().get("from_logits"))
    return False


def fitting_metrics(metrics: Any, activation: str) -> Any:
    """Replaces "accuracy" in the metrics of `compile` as the activation needs.

    For rows with several labels Keras would choose the accuracy of one-hot
    labels.

    Args:
        metrics: see `keras.Model.compile`.
        activation: name of the activation.

    Raises:
        ValueError: "accuracy" is among them, and the activation is linear.
    """
    if activation == "softmax" or not isinstance(metrics, (str, list, tuple)):
        return metrics
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    if activation == "linear" and {"accuracy", "acc"} & _strings(metrics):
        raise ValueError(
            "metrics must be errors, such as 'mae', for a classifier of"
            " numbers (activation='linear'). Received: 'accuracy'"
        )
    return [
        keras.metrics.BinaryAccuracy(name=metric)
        if isinstance(metric, str) and metric in ("accuracy", "acc")
        else metric
        for metric in metrics
    ]


def _strings(values):
    return {value for value in values if isinstance(value, str)}


def targets(
    labels: tf.Tensor, num_classes: int, activation: str, loss: Any
) -> tf.Tensor:
    """Converts the labels of a batch to the shape that the loss takes.

    Args:
        labels: tensor. For softmax: class labels `[B]` or `[B, 1]`, or one-hot
            rows `[B, K]`. For other activations: `[B, K]`, or `[B]` if K is 1.
        num_classes: K.
        activation: name of the activation.
        loss: loss that the model was compiled with.

    Returns:
        Tensor.

    Raises:
        ValueError: the labels have another shape.
    """
    if not isinstance(labels, tf.Tensor):
        return labels
    if is_sparse(loss):
        return batches.class_indices(labels, num_classes)
    if activation == "softmax":
        return labels
    if labels.shape.rank == 1 and num_classes == 1:
        labels = labels[:, tf.newaxis]
    if labels.shape.rank != 2 or labels.shape[1] not in (num_classes, None):
        raise ValueError(
            f"labels must have the shape [B, {num_classes}], a number for each"
            f" output, with activation={activation!r}. Received: shape"
            f" {labels.shape}"
        )
    return labels


def target_spec(
    labels: tf.TensorSpec, num_classes: int, activation: str, loss: Any
) -> tf.TensorSpec:
    """`tf.TensorSpec` of what `targets` returns for labels of this spec."""

    @tf.function(input_signature=[labels], autograph=False)
    def traced(labels):
        return targets(labels, num_classes, activation, loss)

    return traced.get_concrete_function().structured_outputs
