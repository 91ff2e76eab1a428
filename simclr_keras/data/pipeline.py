"""Makes the batches of a source: a pure function of (seed, epoch, step)."""

from __future__ import annotations

import functools

import tensorflow as tf

from simclr_keras import randomness
from simclr_keras import scalars
from simclr_keras.data import data_service as services
from simclr_keras.data import decoded_batches
from simclr_keras.data import epochs
from simclr_keras.data import examples
from simclr_keras.data.host_crops import NO_CROPS
from simclr_keras.data.host_crops import HostCrops
from simclr_keras.data.sources.source import Source
from simclr_keras.data.sources.source import require_labels
from simclr_keras.images import center_crop
from simclr_keras.images import checks


def make_dataset(
    source: Source,
    *,
    batch_size: int,
    image_size: int | tuple[int, int] | None = None,
    training: bool,
    labelled: bool = False,
    views: int = 2,
    seed: int = 0,
    crop_area: tuple[float, float] | None = None,
    crop_aspect: tuple[float, float] | None = None,
    crop_sampler: str | None = None,
    antialias: bool | None = None,
    crop_proportion: str | float | None = "auto",
    drop_remainder: bool | None = None,
    shuffle_buffer: int = 8192,
    data_service: str | None = None,
) -> epochs.Batches:
    """Makes the batches of a source.

    Images that all have one shape are passed on unchanged, and the model crops
    them on the device. Photographs of any size are decoded once on the host. In
    training, random crops are cut and resized there, and the model adds colour
    and blur; in evaluation, the centre is cut and resized.

    The views of the model state how random crops are drawn, and `fit` cuts them
    accordingly. Crop arguments given here must agree; they are for other
    models, whose views state nothing.

    In training the order is a new permutation in every epoch, and incomplete
    batches are dropped. The order is a pure function of (seed, epoch, step);
    crops also depend on the position in the batch and on the view. In
    evaluation the order is the source's and nothing is dropped.

    Args:
        source: `Source`.
        batch_size: images per step, over all replicas.
        image_size: height and width of the crops in pixels, integer or pair;
            needed for photographs only.
        training: whether to shuffle and crop at random.
        labelled: yield pairs (images, labels). Default False.
        views: crops per photograph in training, 2 (default) or 1.
        seed: seed of the order and of the crops. Default 0.
        crop_area: bounds of a random crop's fraction of the area. Default
            None: those of the model's views, or (0.08, 1).
        crop_aspect: bounds of its width / height. Default None: those of the
            model's views, or (3/4, 4/3).
        crop_sampler: `"official"` or `"torchvision"`, see
            `images.random_crops.sample_crops`. Default None: that of the
            model's views, or `"official"`.
        antialias: whether the bicubic kernel is widened when shrinking.
            Default None: as the model's views say, or False; in evaluation,
            as `images.CenterCrop` does.
        crop_proportion: side of the evaluation crop relative to the largest
            central one, see `images.CenterCrop`. Default "auto".
        drop_remainder: drop the last batch if it is not full. Default: in
            training only.
        shuffle_buffer: records in the shuffle buffer of a data set too large
            for memory. Default 8192.
        data_service: `grpc://HOST:PORT`, the dispatcher of a tf.data service
            whose workers decode and crop the images in training, into the same
            batches. They must be JPEG, in files that the workers find under
            the same paths. Default None: this process decodes them.

    Returns:
        `Batches`. Images are `uint8`, `[B, H, W, C]` of one shape; in
        training on photographs `[B, 2, h, w, C]`, or `[B, h, w, C]` if
        `views` is 1; in evaluation of photographs `float32` `[B, h, w, C]` in
        [0, 1], cropped by `images.CenterCrop`. Labels are `int64` `[B]`, or
        `float32` `[B, K]` of several at once or of numbers.

    Raises:
        ValueError: an argument is not allowed, labels are missing, or the
            batch is larger than the source.
    """
    arguments = dict(locals())  # to make the same batches with one crop each
    checks.choice("views", views, (1, 2))
    stated = {
        "crop_area": crop_area,
        "crop_aspect": crop_aspect,
        "crop_sampler": crop_sampler,
        "antialias": antialias,
    }
    stated = {k: v for k, v in stated.items() if v is not None}
    _check_used(stated, crop_proportion, source, training)
    if data_service is not None:
        _check_service(data_service, source, training)
    batch_size = _check_batch_size(batch_size)
    drop_remainder = training if drop_remainder is None else drop_remainder
    steps = _steps(source, batch_size, drop_remainder)
    total = steps * batch_size if drop_remainder else source.num_examples
    if labelled:
        require_labels(source)
    host_crops = one_crop = None
    channels = source.num_channels
    if source.images is not None:
        shape, dtype = source.images.shape[1:], tf.uint8
        one_epoch = _in_memory(source, training, seed, batch_size, total)
    else:
        if source.image_shape is not None:
            shape, dtype, cropping = source.image_shape, tf.uint8, _uncropped
        elif training:
            size = _size(source, image_size)
            host_crops = HostCrops(stated, views)
            host_crops.resolve(NO_CROPS)  # refuses invalid crops
            shape, dtype = (*size, channels), tf.uint8
            if views > 1:
                shape = (views, *shape)
                arguments.update(views=1)
                one_crop = functools.partial(make_dataset, **arguments)
            cropping = functools.partial(_random_crops, host_crops, size, seed)
        else:
            size = _size(source, image_size)
            shape, dtype = (*size, channels), tf.float32
            cropping = _central_crops(size, crop_proportion, antialias)
        one_epoch = decoded_batches.DecodedBatches(
            examples.Examples(source, seed, training, shuffle_buffer),
            cropping,
            shape,
            dtype,
            batch_size=batch_size,
            steps=steps,
            total=total,
        )
        if data_service is not None:
            one_epoch = services.ServedBatches(one_epoch, data_service)
    rows = batch_size if total % batch_size == 0 else None
    images = tf.TensorSpec([rows, *shape], dtype)
    label = examples.label_spec(source)
    labels = tf.TensorSpec([rows, *label.shape], label.dtype)
    return epochs.Batches(
        one_epoch if labelled else functools.partial(_images_only, one_epoch),
        steps,
        (images, labels) if labelled else images,
        host_crops=host_crops,
        is_shuffled=training,
        one_crop=one_crop,
    )


def _check_service(data_service, source, training):
    services.check_address(data_service)
    if not training:
        raise ValueError(
            "`data_service` must be left out of evaluation. Received:"
            f" data_service={data_service!r}"
        )
    services.check_source(source)
    services.check_answers(data_service)


def _check_used(stated, crop_proportion, source, training):
    """Refuses arguments for crops that are not made here."""
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


def _check_batch_size(batch_size):
    if not scalars.is_whole(batch_size) or batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive integer. Received:"
            f" batch_size={batch_size!r}"
        )
    return int(batch_size)


def _steps(source, batch_size, drop_remainder):
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


def _uncropped(crops):
    """`DecodedBatches.cropping` of images that the model's views crop."""
    del crops
    return None, lambda image: image


def _central_crops(size, crop_proportion, antialias):
    """`DecodedBatches.cropping` of evaluation."""
    crop = center_crop.CenterCrop(size, crop_proportion, bool(antialias))
    return lambda crops: (None, lambda image: crop(image[tf.newaxis])[0])


def _random_crops(host_crops, size, seed, crops):
    """`DecodedBatches.cropping` of training."""
    crops = host_crops.resolve(crops)
    return (
        decoded_batches.random_boxes(size, seed, crops),
        decoded_batches.cut_crops(size, crops),
    )


def _in_memory(source, shuffle, seed, batch_size, total):
    """`one_epoch` of images that are an array."""
    count = source.num_examples
    with tf.init_scope(), tf.device("CPU:0"):
        images = tf.constant(source.images)
        has_labels = source.labels is not None
        labels = source.labels if has_labels else [-1] * count
        labels = tf.constant(labels, examples.label_spec(source).dtype)

    def one_epoch(epoch, first_step, part, crops):
        del crops  # the model's views cut them
        if shuffle:
            rows = randomness.permutation(
                count, seed, epoch, randomness.EXAMPLES
            )
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


def _images_only(one_epoch, *arguments):
    """`one_epoch` without the labels."""
    return one_epoch(*arguments).map(lambda images, labels: images)
