"""Prepares `evaluate` and `predict` of our models."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import data
from simclr_keras.models import crops
from simclr_keras.models import fit_callbacks


def for_evaluate(
    model: keras.Model, dataset: Any, arguments: dict[str, Any]
) -> Any:
    """Changes the arguments of `evaluate` to suit a data set.

    Args:
        model: the model that is evaluated.
        dataset: the first argument of `evaluate`; its photographs are cropped
            as the views of the model say.
        arguments: dict of the others by name, changed in place.

    Returns:
        What replaces the data set in Keras's `evaluate`.
    """
    warn_of_order(model, dataset, stacklevel=4)
    return _prepared(model, dataset, arguments, "test_function")


def for_predict(
    model: keras.Model, dataset: Any, arguments: dict[str, Any]
) -> Any:
    """`for_evaluate`, but of `predict`.

    Raises:
        ValueError: the data set is shuffled.
    """
    if getattr(dataset, "is_shuffled", False):
        raise ValueError(
            "predict must be given images in their order; load them with"
            " training=False. Received: batches for training, which are"
            " shuffled"
        )
    return _prepared(model, dataset, arguments, "predict_function")


def warn_of_order(model: keras.Model, dataset: Any, stacklevel: int) -> None:
    """Warns of a classifier that is evaluated on batches for training.

    Args:
        model: a `Classifier`, or a `SimCLR`, which contrasts such batches.
        dataset: `data.Batches`, or anything else that Keras takes.
        stacklevel: see `warnings.warn`.
    """
    if model.takes_one_crop and getattr(dataset, "is_shuffled", False):
        warnings.warn(
            "Batches for training leave out an incomplete one, and crop"
            " photographs at random; load images to evaluate on with"
            " training=False.",
            stacklevel=stacklevel,
        )


def _prepared(model, dataset, arguments, function):
    """What `evaluate` and `predict` prepare alike, for a traced function."""
    callbacks = arguments.get("callbacks")
    # Validation in `fit` passes a `CallbackList`, which checks pixels already.
    if not fit_callbacks.is_fixed(callbacks):
        arguments["callbacks"] = fit_callbacks.checking_pixels(callbacks)
    dataset = crops.with_crops(model, dataset)
    forget_other_rank(model, dataset, function)
    return data.as_dataset(dataset)


def forget_other_rank(model: keras.Model, dataset: Any, function: str) -> None:
    """Forgets a traced function if the images have another rank than before.

    Traced again for another rank, it would be a function of images of unknown
    rank.

    Args:
        model: the model.
        dataset: what it will be called on. Where the rank cannot be known, as
            of the input of several processes, nothing is done.
        function: `"test_function"` or `"predict_function"`.
    """
    images = tf.nest.flatten(getattr(dataset, "element_spec", dataset))[0]
    rank = tf.TensorShape(getattr(images, "shape", None)).rank
    if rank not in (None, getattr(model, f"rank_of_{function}")):
        setattr(model, function, None)
        setattr(model, f"rank_of_{function}", rank)
