"""The forms in which a batch reaches a model, made one."""

import dataclasses
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch for `SimCLR`.

    Attributes:
        images: `[B, H, W, 3]`, or ready views `[B, 2, S, S, 3]`.
        labels: integers `[B]` of the images, or of `probe_images`; or None.
        probe_images: `[P, H, W, 3]` where the probe has its own data; or None.
    """

    images: Any
    labels: Any = None
    probe_images: Any = None


def unpack(data, with_probe):
    """`Batch` of what a data set yields.

    Args:
        data: tensor, `(images,)`, `(images, labels)`, or a dict with `images`,
            `probe_images` and `probe_labels`.
        with_probe: whether labels are needed.

    Raises:
        ValueError: an unknown form, or labels are needed and missing.
    """
    if isinstance(data, (tuple, list)) and len(data) == 1:
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
    if batch.images.shape.rank not in (4, 5):
        raise ValueError(
            "images must have the shape [B, H, W, 3], or [B, 2, S, S, 3] for"
            f" ready views. Received: shape {batch.images.shape}"
        )
    if with_probe and batch.labels is None:
        raise ValueError(
            "num_classes asks for an online probe, which needs labels: the data"
            " set must yield (images, labels), or dicts with 'probe_images' and"
            " 'probe_labels'. Received: images only"
        )
    return batch


def of_rows(batch, rows):
    """The same `Batch`, whose images are known to be so many."""

    def known(tensor):
        return tf.ensure_shape(tensor, [rows, *tensor.shape[1:]])

    labels = batch.labels
    if labels is not None and batch.probe_images is None:
        labels = known(labels)
    return dataclasses.replace(batch, images=known(batch.images), labels=labels)


def to_float(images):
    """Images as float in [0, 1]: uint8 is divided by 255, float is kept."""
    images = tf.convert_to_tensor(images)
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    return images
