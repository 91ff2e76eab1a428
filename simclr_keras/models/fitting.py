"""Prepares a `fit` of our models; has functions that their steps share."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import data
from simclr_keras import networks
from simclr_keras.distribute import limits
from simclr_keras.distribute import workers
from simclr_keras.models import crops
from simclr_keras.models import evaluating
from simclr_keras.models import fit_callbacks
from simclr_keras.models import fit_input
from simclr_keras.models import fit_position
from simclr_keras.models import input_wait
from simclr_keras.models import pixels

# Images in a batch that Keras's `fit` makes of arrays by default.
_KERAS_BATCH = 32


def prepare(
    model: keras.Model,
    dataset: Any,
    arguments: dict[str, Any],
    labels: Any = None,
) -> Any:
    """Changes the arguments of `fit` to suit a data set and a strategy.

    Sets the `global_batch_size` and the `fit_position` of the model, and adds
    callbacks, which tell a `data.Batches` where each fit epoch begins.

    Args:
        model: the model that is fitted.
        dataset: the first argument of its `fit`.
        arguments: dict of its other arguments by name, changed in place.
        labels: second argument of `fit`, if the first is an array.

    Returns:
        The input that replaces the data set in Keras's `fit`.

    Raises:
        ValueError: the model is not compiled; the batch does not divide by the
            number of replicas; or the data set states other crops than the
            model's views.
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError(
            "compile the model before fit, with an optimizer. Received: a"
            f" {type(model).__name__} that is not compiled"
        )
    dataset = _cropped_as_stated(model, dataset, arguments)
    images = tf.nest.flatten(getattr(dataset, "element_spec", dataset))[0]
    pixels.check_channels(getattr(images, "shape", None), model.input_channels)
    strategy = model.distribute_strategy
    model.global_batch_size = batch_size(dataset, arguments.get("batch_size"))
    limits.check_batch(model.global_batch_size, strategy.num_replicas_in_sync)
    limits.check_step(
        strategy.num_replicas_in_sync,
        steps_per_execution=compat.steps_per_execution(model),
        jit_compile=getattr(model, "jit_compile", False) is True,
    )
    model.build_state(labels_of(dataset, labels))
    if isinstance(dataset, (data.Batches, tf.data.Dataset)):
        # The data set has its own order; Keras would warn of its default.
        arguments.setdefault("shuffle", False)
    _follow(model, dataset, arguments)
    return fit_input.input_of(model, dataset, arguments)


def by_name(
    positional: Sequence[Any], named: dict[str, Any], first: int
) -> dict[str, Any]:
    """Arguments of `fit` by their names.

    Args:
        positional: arguments without names.
        named: the others.
        first: number of the first positional one, counted from `x`, 0.
    """
    names = list(inspect.signature(keras.Model.fit).parameters)[1 + first :]
    if len(positional) > len(names) or set(names[: len(positional)]) & {*named}:
        raise TypeError("fit got too many arguments, or one of them twice")
    return {**dict(zip(names, positional)), **named}


def check_negatives(
    model: keras.Model, dataset: Any, arguments: dict[str, Any]
) -> None:
    """Refuses batches of one image, which has no negatives.

    Args:
        model: the model that is fitted, after `prepare`.
        dataset: as for `prepare`.
        arguments: as for `prepare`.

    Raises:
        ValueError: all batches, or the last one of arrays, have one image.
    """
    batch, last = model.global_batch_size, None
    if batch and not arguments.get("validation_split"):
        last = left_over(dataset, batch)
    if 1 in (batch, last):
        where = "the last batch of" if batch != 1 else "batches of"
        raise ValueError(
            "the batch must have at least 2 images: a single image has no"
            " negatives, its loss is 0 and nothing is learnt. Received:"
            f" {where} 1 image"
        )


def _cropped_as_stated(model, dataset, arguments):
    """Returns the data set, its photographs cropped as the views state.

    Replaces the validation data likewise, and records in the model whether the
    images it gets are crops already.
    """
    dataset = crops.with_crops(model, dataset)
    validation = arguments.get("validation_data")
    if isinstance(validation, data.Batches):
        evaluating.warn_of_order(model, validation, stacklevel=5)
        validation = crops.with_crops(model, validation)
        evaluating.forget_other_rank(model, validation, "test_function")
        arguments["validation_data"] = fit_input.validation_of(
            model, validation, arguments
        )
    ready = getattr(dataset, "host_crops", None) is not None
    if ready != model.crops_are_ready:
        model.train_function = None  # it was traced for the other kind
    model.crops_are_ready = ready
    return dataset


def _follow(model, dataset, arguments):
    """Sets the position and the input timer of a `fit`; adds our callbacks.

    A `CallbackList` is left as it is. Then the wait for input is not measured,
    no fit epoch can begin in its middle, and the callback of a run directory
    updates the position. The data set draws the epoch after its last one,
    whatever fit epoch begins, so a resumed run does not see the images that an
    uninterrupted one would.
    """
    callbacks = arguments.get("callbacks")
    fixed = fit_callbacks.is_fixed(callbacks)
    batches = dataset if isinstance(dataset, data.Batches) else None
    model.fit_position = fit_position.FitPosition(
        starts_within=batches is not None and not fixed
    )
    if batches is not None:
        grouped = batches.epochs_per_fit_epoch
        model.fit_position.epochs_per_fit_epoch = grouped
        model.fit_position.steps_per_epoch = batches.steps // grouped
    model.input_wait = None
    if fixed:
        return
    if fit_input.can_be_timed(model, dataset, arguments):
        model.input_wait = input_wait.InputWait(model.distribute_strategy)
    arguments["callbacks"] = fit_callbacks.with_own(callbacks, model, batches)


@contextlib.contextmanager
def guarded_fit(
    model: keras.Model, arguments: dict[str, Any]
) -> Iterator[None]:
    """Context of a `fit`: names a lost worker, releases the callbacks.

    Keras calls `on_train_end` only if no error was raised, so callbacks
    that hold a lock or a thread have a method `release`.
    """
    try:
        with workers.naming_lost(model.distribute_strategy):
            yield
    finally:
        callbacks = arguments.get("callbacks") or []
        if fit_callbacks.is_fixed(callbacks):
            callbacks = callbacks.callbacks
        for callback in callbacks:
            getattr(callback, "release", lambda: None)()


def labels_of(dataset: Any, labels: Any = None) -> tf.TensorSpec | None:
    """Type of the labels, or None if it is unknown before training.

    Args:
        dataset: first argument of `fit`.
        labels: the second argument, an array if the first is one.
    """
    if labels is not None and hasattr(labels, "shape"):
        return tf.TensorSpec([None, *labels.shape[1:]], labels.dtype)
    spec = getattr(dataset, "element_spec", None)
    labels = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
    return labels if isinstance(labels, tf.TensorSpec) else None


def batch_size(dataset: Any, default: int | None = None) -> int | None:
    """Images in the global batch of a data set, or None if unknown."""
    spec = getattr(dataset, "element_spec", None)
    if spec is None:
        arrays = hasattr(tf.nest.flatten(dataset)[0], "shape")
        return default or (_KERAS_BATCH if arrays else None)
    shape = tf.nest.flatten(spec)[0].shape
    return shape[0] if shape.rank else None


def left_over(dataset: Any, batch: int) -> int:
    """Images of arrays that make a smaller last batch; 0 for other data."""
    rows = (getattr(tf.nest.flatten(dataset)[0], "shape", None) or (None,))[0]
    return rows % batch if rows else 0


def image_size_of(images: Any) -> int | None:
    """Side in pixels of the square images that `fit` is given, or None."""
    spec = getattr(images, "element_spec", images)
    shape = tuple(getattr(tf.nest.flatten(spec)[0], "shape", None) or ())
    square = len(shape) == 4 and shape[1] == shape[2]
    return shape[1] if square else None


def training_step(optimizer: keras.optimizers.Optimizer) -> tf.Tensor:
    """Number of the training step that runs now: int64 scalar from 0."""
    seen = tf.convert_to_tensor(compat.batches_seen(optimizer))
    return tf.cast(seen, tf.int64)


def build_images(
    encoder: keras.Model,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> tf.Tensor:
    """An image of zeros, `[1, H, W, C]`, on which an encoder can be built.

    Args:
        encoder: `keras.Model`.
        size: (height, width) in pixels of the images that it will get; some
            models can be built for this size only. Defaults to None: unknown.
        channels: number of channels if the encoder does not say it. Defaults to
            None: 3.
    """
    shape = getattr(encoder, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4:
        size = (shape[i] or 64 for i in (1, 2))  # small: it costs less
    channels = networks.image_channels(encoder, channels or 3)
    return tf.zeros((1, *(size or (64, 64)), channels))


def pooled(features: tf.Tensor) -> tf.Tensor:
    """Features `[B, C]`, float32 at least; maps are averaged over space."""
    if isinstance(features, (list, tuple, dict)):
        raise ValueError(
            "encoder must have one output, features or a feature map; make a"
            " keras.Model that ends there. Received: a"
            f" {type(features).__name__} of {len(features)} outputs"
        )
    if features.dtype.size < 4:
        # TensorFlow 2.15 adds bfloat16 up in bfloat16 on CPU.
        features = tf.cast(features, tf.float32)
    rank = features.shape.rank
    if rank == 4:
        return tf.reduce_mean(features, axis=(1, 2))
    if rank == 2:
        return features
    hint = ""
    if rank == 3:
        hint = (
            "; of tokens [B, T, C], sk.as_encoder(encoder, tokens='first')"
            " takes the class token, tokens='mean' the mean over all"
        )
    raise ValueError(
        "encoder must map images to features [B, C] or to a feature map"
        f" [B, H, W, C]{hint}. Received: output of shape {features.shape}"
    )
