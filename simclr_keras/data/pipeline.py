"""A source -> batches for `fit`: a pure function of (seed, epoch, step)."""

import tensorflow as tf

from simclr_keras.data import epochs
from simclr_keras.data import order
from simclr_keras.data import photographs
from simclr_keras.data.source import require_labels
from simclr_keras.views import checks
from simclr_keras.views import geometry


def make_dataset(
    source,
    *,
    batch_size,
    image_size=None,
    training,
    labelled=False,
    views=2,
    seed=0,
    crop_area=(0.08, 1.0),
    crop_sampler="official",
    antialias=False,
    crop_proportion=0.875,
    drop_remainder=None,
    shuffle_buffer=8192,
):
    """Makes the batches of a source.

    Images that all have one shape are handed through as they are, for the
    model to crop on the device. Photographs of any size are decoded once on
    the host; in training, random crops are cut and resized there and the
    model adds colour and blur; in evaluation, the centre is cut and resized.

    In training the order is a new permutation in every epoch and incomplete
    batches are dropped; order and crops are a pure function of (seed, epoch,
    step). In evaluation the order is the source's and nothing is dropped.

    Args:
        source: `Source`.
        batch_size: images per step, over all replicas.
        image_size: height and width of the crops in pixels, integer or pair;
            needed for photographs only.
        training: whether to shuffle and crop at random.
        labelled: yield pairs (images, labels). Default False.
        views: crops per photograph in training, 2 (default) or 1.
        seed: seed of the order and of the crops. Default 0.
        crop_area: bounds of a crop's part of the area. Default (0.08, 1).
        crop_sampler: `"official"` (default) or `"torchvision"`, see
            `views.geometry.sample_crops`.
        antialias: widen the bicubic kernel when shrinking. Default False, as
            in the official code.
        crop_proportion: side of the evaluation crop relative to the largest
            central one. Default 0.875.
        drop_remainder: drop the last batch if it is not full. Default: in
            training only.
        shuffle_buffer: records in the shuffle buffer of a data set too large
            for memory. Default 8192.

    Returns:
        `tf.data.Dataset` of one epoch's batches, see `epochs.by_epoch` for
        its `epoch`. Images are `uint8`, `[B, H, W, 3]` of one shape; in
        training on photographs `[B, 2, h, w, 3]`, or `[B, h, w, 3]` if
        `views` is 1. Labels are `int64` `[B]`.

    Raises:
        ValueError: an argument is not allowed, labels are missing, or the
            batch is larger than the source.
    """
    checks.choice("views", views, (1, 2))
    geometry.check_crops(crop_area, (3 / 4, 4 / 3), crop_sampler)
    checks.interval("crop_proportion", (crop_proportion,) * 2, 1.0)
    drop_remainder = training if drop_remainder is None else drop_remainder
    steps = _steps(source, batch_size, drop_remainder)
    total = steps * batch_size if drop_remainder else source.num_examples
    if labelled:
        require_labels(source)
    if source.images is not None:
        one_epoch = _in_memory(source, batch_size, training, seed, total)
    else:
        examples = photographs.Examples(source, seed, training, shuffle_buffer)
        if source.image_shape is not None:
            draw, shape = None, source.image_shape
            cut = _as_it_is
        else:
            size = _size(source, image_size)
            cut = photographs.cut_crops(size, antialias)
            if training:
                draw = photographs.random_boxes(
                    size, views, seed, crop_area, crop_sampler
                )
            else:
                draw = photographs.center_boxes(size, crop_proportion)
            several = training and views > 1
            shape = (views, *size, 3) if several else (*size, 3)
        one_epoch = photographs.Batches(
            examples, draw, cut, shape, batch_size, steps, total
        )
    return epochs.by_epoch(_choose(one_epoch, labelled), steps)


def _steps(source, batch_size, drop_remainder):
    if isinstance(batch_size, bool) or not (
        isinstance(batch_size, int) and batch_size > 0
    ):
        raise ValueError(
            "`batch_size` must be a positive integer. Received:"
            f" batch_size={batch_size!r}"
        )
    count = source.num_examples
    if drop_remainder and batch_size > count:
        raise ValueError(
            f"`batch_size` must be no larger than the data set: {source.name}"
            f" ({source.split}) has {count} examples. Received:"
            f" batch_size={batch_size}"
        )
    return count // batch_size if drop_remainder else -(-count // batch_size)


def _size(source, image_size):
    if image_size is None:
        raise ValueError(
            f"`image_size` is needed: the images of {source.name} differ in"
            " size. Received: image_size=None"
        )
    return checks.size("image_size", image_size)


def _as_it_is(image):
    return image


def _in_memory(source, batch_size, shuffle, seed, total):
    count = source.num_examples
    with tf.device("CPU:0"):
        images = tf.constant(source.images)
        has_labels = source.labels is not None
        labels = source.labels if has_labels else [-1] * count
        labels = tf.constant(labels, tf.int64)

    def one_epoch(epoch, first_step, part):
        if shuffle:
            rows = order.permutation(count, seed, epoch, order.EXAMPLES)
        else:
            rows = tf.range(count, dtype=tf.int64)
        rows = rows[first_step * batch_size : total]
        index, parts = part
        size = batch_size // parts
        if parts > 1:
            rows = tf.reshape(rows, [-1, parts, size])[:, index]
            rows = tf.reshape(rows, [-1])
        rows = tf.data.Dataset.from_tensor_slices(rows)
        batches = rows.batch(size, total % batch_size == 0)
        return batches.map(
            lambda rows: (tf.gather(images, rows), tf.gather(labels, rows)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    return one_epoch


def _choose(one_epoch, labelled):
    if labelled:
        return one_epoch

    def images_only(epoch, first_step, part):
        batches = one_epoch(epoch, first_step, part)
        return batches.map(lambda images, labels: images)

    return images_only
