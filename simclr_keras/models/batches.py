"""Converts the accepted forms of a batch into one; checks its labels."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from simclr_keras.models import pixels


@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch for `SimCLR`.

    Attributes:
        images: `[B, H, W, C]` with the channels of the encoder's input, or
            ready views `[B, 2, S, S, C]`.
        labels: integers `[B]` of the images, or of `probe_images`; or None.
        probe_images: `[P, H, W, C]` if the probe has its own data; else None.
    """

    images: Any
    labels: Any = None
    probe_images: Any = None


def unpack(
    data: Any,
    num_classes: int | None,
    loss_takes_labels: bool = False,
    channels: int = 3,
) -> Batch:
    """Converts an element of a data set to a `Batch`.

    Args:
        data: tensor, `(images,)`, `(images, labels)`, or a dict with `images`,
            `probe_images` and `probe_labels`.
        num_classes: number of classes of the probe, which needs labels; None
            without a probe.
        loss_takes_labels: whether the loss needs labels of the images. Defaults
            to False.
        channels: number of channels of the encoder's input, see
            `pixels.with_channels`. Defaults to 3.

    Raises:
        ValueError: the form is unknown, there are sample weights, or labels
            are needed and missing.
    """
    if isinstance(data, (tuple, list)):
        _refuse_weights(data)
        if len(data) == 1:
            data = data[0]
    if isinstance(data, (tuple, list)) and isinstance(data[0], dict):
        data = data[0]
    if isinstance(data, dict):
        if "images" not in data:
            raise ValueError(
                "a batch that is a dict must have the key 'images', and for a"
                " probe of its own 'probe_images' and 'probe_labels'. Received"
                f" the keys: {sorted(data)}"
            )
        batch = Batch(
            data["images"], data.get("probe_labels"), data.get("probe_images")
        )
    elif isinstance(data, (tuple, list)):
        batch = Batch(data[0], data[1])
    else:
        batch = Batch(data)
    batch = _with_channels(batch, channels)
    if loss_takes_labels:
        _check_labels_for_loss(batch)
        num_classes = num_classes or _columns(batch.labels)
    elif num_classes is None:
        return batch
    if batch.labels is None:
        raise ValueError(
            "num_classes asks for an online probe, which needs labels: the data"
            " set must yield (images, labels), or dicts with 'probe_images' and"
            " 'probe_labels'. Received: images only"
        )
    labels = class_indices(batch.labels, num_classes)
    return dataclasses.replace(batch, labels=labels)


def _refuse_weights(data):
    weights = [each for each in data[2:] if each is not None]
    if weights:
        raise ValueError(
            "sample_weight must be left out of pre-training: an image is an"
            " anchor and a candidate of all others at once. Received: batches"
            f" of {len(data)} parts"
        )


def _check_labels_for_loss(batch):
    if batch.labels is None or batch.probe_images is not None:
        received = "images only" if batch.labels is None else "a probe's labels"
        raise ValueError(
            "the loss takes labels: the data set must yield (images, labels)."
            f" Received: {received}"
        )


def _columns(labels):
    """Number of columns of one-hot labels; 0 for class indices."""
    shape = tf.convert_to_tensor(labels).shape
    return shape[1] if shape.rank == 2 else 0


def class_indices(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Converts labels to class indices.

    Args:
        labels: tensor of class indices `[B]` or `[B, 1]`, integers or whole
            floats; or one-hot `[B, K]`.
        num_classes: K.

    Returns:
        Integer tensor `[B]`. When the graph runs, a row that is not one-hot, or
        a float that is not whole, raises an error.

    Raises:
        ValueError: labels have another shape or type.
    """
    labels = tf.convert_to_tensor(labels)
    shape, dtype = labels.shape, labels.dtype
    known = dtype.is_integer or dtype.is_floating or dtype.is_bool
    one_hot = shape.rank == 2 and shape[1] == num_classes > 1
    column = shape.rank == 2 and shape[1] == 1
    if not known or not (one_hot or column or shape.rank in (1, None)):
        raise ValueError(
            "labels must be one class for each image: numbers [B] or [B, 1],"
            f" or one-hot [B, {num_classes}]. Received: shape {shape}, dtype"
            f" {dtype.name}"
        )
    if one_hot:
        return _column_of_one(labels)
    labels = labels[:, 0] if column else tf.ensure_shape(labels, [None])
    if dtype.is_integer:
        return labels
    numbers = tf.cast(labels, tf.int64)
    if not dtype.is_floating:
        return numbers
    message = "labels must be whole numbers of classes. Received:"
    return _checked(numbers, tf.cast(numbers, dtype) == labels, message, labels)


def _column_of_one(labels):
    """Class indices, int64 `[B]`, of one-hot rows `[B, K]`."""
    rows = tf.cast(labels, tf.float32)
    one = tf.reduce_sum(tf.cast(rows == 1, tf.int32), axis=1) == 1
    zeros = tf.reduce_sum(tf.abs(rows), axis=1) == 1
    message = (
        "labels must be one-hot, a single 1 in each row; several labels at once"
        " are for a Classifier with activation='sigmoid'. Received:"
    )
    return _checked(tf.argmax(rows, axis=1), one & zeros, message, labels)


def _checked(numbers, right, message, labels):
    """Returns the class indices; an error stops the step if one is wrong.

    XLA omits this error. There, a wrong index becomes -1, which makes the loss
    NaN, and that stops the run.
    """
    tf.debugging.Assert(tf.reduce_all(right), [message, labels])
    return tf.where(right, numbers, -1)


def with_static_batch_size(batch: Batch, rows: int) -> Batch:
    """The same `Batch` with a static number of rows."""

    def known(tensor):
        return tf.ensure_shape(tensor, [rows, *tensor.shape[1:]])

    labels = batch.labels
    if labels is not None and batch.probe_images is None:
        labels = known(labels)
    return dataclasses.replace(batch, images=known(batch.images), labels=labels)


def _with_channels(batch, channels):
    """The same `Batch`, with images of the channels of the encoder's input.

    Raises:
        ValueError: they are not images, or have other channels.
    """
    images = tf.convert_to_tensor(batch.images)
    if images.shape.rank not in (4, 5):
        raise ValueError(
            "images must have the shape [B, H, W, C], or [B, 2, S, S, C] for"
            " ready views; grey images have one channel, [B, H, W, 1]."
            f" Received: shape {images.shape}"
        )
    probe_images = batch.probe_images
    if probe_images is not None:
        probe_images = pixels.with_channels(probe_images, channels)
    images = pixels.with_channels(images, channels)
    return dataclasses.replace(batch, images=images, probe_images=probe_images)


def after_batch(data: Any) -> AbstractContextManager:
    """Context in which operations run only after the batch was read.

    If the length of a data set is unknown, it ends when the request for one
    more batch fails. Operations that do not depend on that batch, such as
    counting the step, would otherwise run before the request fails.

    Args:
        data: nest of tensors that a data set yields.
    """
    tensors = [each for each in tf.nest.flatten(data) if tf.is_tensor(each)]
    return tf.control_dependencies(tensors)
