"""A source -> batches for `fit`: a pure function of (seed, epoch, step)."""

import functools

import tensorflow as tf

from simclr_keras.data import epochs
from simclr_keras.data import order
from simclr_keras.data import photographs
from simclr_keras.data.source import require_labels
from simclr_keras.images import center_crop
from simclr_keras.images import checks
from simclr_keras.images import geometry


def make_dataset(
    source,
    *,
    batch_size,
    image_size=None,
    training,
    labelled=False,
    views=2,
    seed=0,
    crop_area=None,
    crop_aspect=None,
    crop_sampler=None,
    antialias=None,
    crop_proportion="auto",
    drop_remainder=None,
    shuffle_buffer=8192,
):
    """Makes the batches of a source.

    Images that all have one shape are handed through as they are, for the
    model to crop on the device. Photographs of any size are decoded once on
    the host; in training, random crops are cut and resized there and the
    model adds colour and blur; in evaluation, the centre is cut and resized.

    How random crops are drawn is stated by the views of the model, and `fit`
    cuts them so. What is stated here must be the same; it is for models of
    others, which state nothing.

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
        crop_area: bounds of a random crop's part of the area. Default None:
            as the model's views say, and (0.08, 1) where none do.
        crop_aspect: likewise of its width / height, (3/4, 4/3).
        crop_sampler: likewise `"official"` or `"torchvision"`, see
            `views.sample_crops`; `"official"`.
        antialias: likewise whether the bicubic kernel is widened when
            shrinking; False. In evaluation, see `views.CenterCrop`.
        crop_proportion: side of the evaluation crop relative to the largest
            central one, see `views.CenterCrop`. Default "auto".
        drop_remainder: drop the last batch if it is not full. Default: in
            training only.
        shuffle_buffer: records in the shuffle buffer of a data set too large
            for memory. Default 8192.

    Returns:
        `tf.data.Dataset` of one epoch's batches, see `epochs.by_epoch` for
        its `epoch`. Images are `uint8`, `[B, H, W, 3]` of one shape; in
        training on photographs `[B, 2, h, w, 3]`, or `[B, h, w, 3]` if
        `views` is 1; in evaluation of photographs `float32` `[B, h, w, 3]` in
        [0, 1], what `views.CenterCrop` makes of them. Labels are `int64`
        `[B]`.

    Raises:
        ValueError: an argument is not allowed, labels are missing, or the
            batch is larger than the source.
    """
    checks.choice("views", views, (1, 2))
    stated = {
        "crop_area": crop_area,
        "crop_aspect": crop_aspect,
        "crop_sampler": crop_sampler,
        "antialias": antialias,
    }
    stated = {k: v for k, v in stated.items() if v is not None}
    _check_used(stated, crop_proportion, source, training)
    drop_remainder = training if drop_remainder is None else drop_remainder
    steps = _steps(source, batch_size, drop_remainder)
    total = steps * batch_size if drop_remainder else source.num_examples
    if labelled:
        require_labels(source)
    random = training and source.image_shape is None
    if source.images is not None:
        one_epoch = _in_memory(source, batch_size, training, seed, total)
        return epochs.by_epoch(_choose(one_epoch, labelled), steps)
    made = functools.partial(
        photographs.Batches,
        photographs.Examples(source, seed, training, shuffle_buffer),
        batch_size=batch_size,
        steps=steps,
        total=total,
    )
    if source.image_shape is not None:
        one_epoch = made(None, _as_it_is, source.image_shape, tf.uint8)
        return epochs.by_epoch(_choose(one_epoch, labelled), steps)
    size = _size(source, image_size)
    if not random:
        crop = _central(size, crop_proportion, antialias)
        one_epoch = made(None, crop, (*size, 3), tf.float32)
        return epochs.by_epoch(_choose(one_epoch, labelled), steps)

    def with_crops(crops):
        draw = photographs.random_boxes(size, seed, crops)
        cut = photographs.cut_crops(size, crops)
        shape = (views, *size, 3) if views > 1 else (*size, 3)
        return _choose(made(draw, cut, shape, tf.uint8), labelled)

    return epochs.by_epoch(*_random(with_crops, steps, views, stated))


def _random(with_crops, steps, views, stated):
    """Arguments of `epochs.by_epoch` for crops that can be cut anew.

    Args:
        with_crops: function of a tuple of `geometry.Crops` that gives
            `one_epoch`.
        steps: batches of an epoch.
        views: crops of each image.
        stated: dict, what the caller has stated of them.
    """
    default = _crops(**stated)

    def cut(crops):
        return with_crops(crops), epochs.HostCrops(crops, views, recut)

    def recut(given):
        crops = [default if each is None else each for each in given[:views]]
        for each in crops:
            _check_agreement(stated, each)
        return cut(tuple(crops))

    one_epoch, host_crops = cut((default,) * views)
    return one_epoch, steps, host_crops


def _check_used(stated, crop_proportion, source, training):
    """Refuses what is stated of crops that are not made here."""
    if crop_proportion != "auto":
        stated = {**stated, "crop_proportion": crop_proportion}
    used = ()
    if source.image_shape is None:
        random = ("crop_area", "crop_aspect", "crop_sampler", "antialias")
        used = random if training else ("antialias", "crop_proportion")
    names = sorted(set(stated).difference(used))
    if names:
        raise ValueError(
            f"`{names[0]}` is for photographs of different sizes in"
            f" {'evaluation' if names[0] == 'crop_proportion' else 'training'};"
            " other images are cropped by the views of the model, and in"
            " evaluation by `crop_proportion`: leave it out. Received:"
            f" {names[0]}={stated[names[0]]!r} for {source.name}"
        )


def _crops(crop_area=None, crop_aspect=None, crop_sampler=None, **others):
    stated = dict(area=crop_area, aspect=crop_aspect, sampler=crop_sampler)
    stated = {k: v for k, v in stated.items() if v is not None}
    return geometry.Crops(**stated, **others)


def _check_agreement(stated, crops):
    """Refuses crops that differ from what was stated for the data set."""
    for name, value in stated.items():
        other = getattr(crops, name.replace("crop_", ""))
        value = tuple(value) if isinstance(value, (list, tuple)) else value
        if value != other:
            raise ValueError(
                f"`{name}` must be stated once, by the views of the model;"
                " leave it out of the data set, or state the same. Received:"
                f" {name}={value!r} of the data set, {name}={other!r} of the"
                " views"
            )


def _central(size, crop_proportion, antialias):
    crop = center_crop.CenterCrop(size, crop_proportion, bool(antialias))
    return lambda image: crop(image[tf.newaxis])[0]


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
