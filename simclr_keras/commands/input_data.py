"""Opens the images that the flags name, and batches them for the networks."""

import functools
import os

import numpy as np
import tensorflow as tf

from simclr_keras import data
from simclr_keras import disk
from simclr_keras import views
from simclr_keras.commands import schedule
from simclr_keras.distribute import limits
from simclr_keras.distribute import strategy
from simclr_keras.images.checks import SMALL_IMAGE
from simclr_keras.report import grids


def open_source(settings, split, dataset=None):
    """Opens a split of `--dataset`, or of another data set."""
    return data.open_source(
        dataset or settings.dataset,
        split,
        data_dir=settings.data_dir,
        download=settings.download,
        skip_corrupt=settings.skip_corrupt,
        split_order=settings.split_order,
        folder_layout=settings.folder_layout,
        pixel_range=settings.pixel_range,
        max_pixels=settings.max_pixels,
    )


def cached(settings, source, passes):
    """The source decoded once, as `--cache` says, where that saves time.

    Args:
        settings: the command's.
        source: images that are read `passes` times.
        passes: number, perhaps a fraction.
    """
    if passes <= 1 and settings.cache == "auto":
        return source
    limit = int(settings.cache_gib * 2**30) or None
    if limit is None and settings.cache != "disk":
        # Each worker keeps its own, at the same time.
        limit = data.free_memory() // 2 // strategy.workers_here()
    return data.cached(
        source, settings.cache, directory=settings.cache_dir, limit=limit
    )


def image_size(settings, source=None, checkpoint_size=None):
    """Side of the network's input in pixels."""
    if settings.image_size:
        return settings.image_size
    if checkpoint_size:
        return checkpoint_size
    if source is None:
        raise ValueError(
            "--image_size must be given: the model does not say on which size"
            " it was trained. Received: --image_size=0"
        )
    shape = source.image_shape
    if shape is not None and shape[0] == shape[1] <= 64:
        return shape[0]
    return 224


def cropped_on_host(source):
    """Whether crops are made on the host: photographs of mixed sizes."""
    return source.image_shape is None


def evaluation_data(
    source, size, batch_size, *, labelled=True, drop_remainder=False
):
    """Images in source order, each as `CenterCrop(size)` makes it.

    Those that it would leave as they are stay `uint8`, for their size.
    """
    dataset = data.make_dataset(
        source,
        batch_size=batch_size,
        image_size=size,
        training=False,
        labelled=labelled,
        drop_remainder=drop_remainder,
    )
    fits = source.image_shape == (size, size, 3) and size <= SMALL_IMAGE
    if cropped_on_host(source) or fits:
        return dataset
    crop = views.CenterCrop(size)
    dataset = dataset.as_dataset()
    if labelled:
        return dataset.map(lambda images, labels: (crop(images), labels))
    return dataset.map(crop)


def open_for_pretraining(settings):
    """The images of a pre-training, and those for its labels.

    Returns:
        Three `Source`s: what is trained on; what the online probe learns from,
        or None for no probe; what is evaluated on, or None.
    """
    source = open_source(settings, settings.train_split)
    probe = _probe_source(settings, source)
    held_out = _evaluation_source(settings)
    warn_of_overlap(source, held_out)
    return source, probe, held_out


def _evaluation_source(settings):
    """The images of `--eval_split`, or None."""
    if settings.eval_split is not None:
        split = settings.eval_split
        return open_source(settings, split) if split else None
    try:
        return open_source(settings, "test")
    except ValueError as error:
        print(f"No evaluation, --eval_split is not given: {error}")
        return None


def _probe_source(settings, source):
    """The images whose labels the online probe learns; None for no probe."""
    if not settings.lineareval_while_pretraining:
        return None
    if settings.probe_dataset is not None:
        source = open_source(settings, "train", settings.probe_dataset)
        data.require_labels(source)
    return source if source.has_labels else None


def warn_of_overlap(source, held_out):
    """Prints how many images are in both of two sources, if any are.

    Slices of TensorFlow Datasets are not compared.

    Args:
        source: what is trained on.
        held_out: what is evaluated on, or None.
    """
    number = 0 if held_out is None else num_shared(source, held_out)
    if number:
        print(
            f"Caution: {number} of the {held_out.num_examples} images of"
            f" {held_out.name} {held_out.split} are trained on, too"
            f" ({source.split}); what is measured on them is no accuracy on"
            " new images."
        )


def num_shared(source, held_out):
    """Number of images of `held_out` that are in `source`, too.

    Of files, also through links from one folder to another.
    """
    if source.origin == held_out.origin:
        return int(np.isin(held_out.positions, source.positions).sum())
    if source.files is None or held_out.files is None:
        return 0
    real = functools.lru_cache(maxsize=None)(os.path.realpath)
    folders = [
        {real(os.path.dirname(path)) for path in each.files}
        for each in (source, held_out)
    ]
    if folders[0].isdisjoint(folders[1]):
        return 0
    places = [
        {(real(os.path.dirname(p)), os.path.basename(p)) for p in each.files}
        for each in (source, held_out)
    ]
    return len(places[0] & places[1])


def training_data(settings, runtime, source, probe, size):
    """Shuffled batches of images, with labels where a probe learns from them.

    Raises ValueError where the batch does not fit the data set.
    """
    dataset = data.make_dataset(
        source,
        batch_size=settings.train_batch_size,
        image_size=size,
        training=True,
        labelled=probe is source,
        views=2,
        seed=settings.seed,
    )
    if probe is None or probe is source:
        return dataset
    return data.with_probe(
        dataset,
        data.make_dataset(
            probe,
            batch_size=part_of_batch(
                settings, runtime, probe, "the batch of --probe_dataset"
            ),
            image_size=size,
            training=True,
            labelled=True,
            views=1,
            seed=settings.seed + 1,
        ),
    )


def part_of_batch(settings, runtime, source, name):
    """The largest divisor of the batch for which there are images.

    Of the batch, so that it does not depend on the number of replicas.
    """
    batch = settings.train_batch_size
    size = next(
        size
        for size in range(min(batch, source.num_examples), 0, -1)
        if batch % size == 0
    )
    limits.check_batch(size, runtime.devices.replicas, name)
    return size


def cached_sources(settings, source, probe, held_out):
    """The sources that are read more than once, decoded where they fit."""
    passes = schedule.num_data_epochs(settings, source.num_examples)
    made = cached(settings, source, passes)
    if probe is source:
        probe = made
    elif probe is not None:
        probe = cached(settings, probe, passes)
    if held_out is not None and settings.eval_every_epochs:
        times = passes / settings.eval_every_epochs
        held_out = cached(settings, held_out, times)
    return made, probe, held_out


def write_preview(run_directory, path, two_views, dataset):
    """Writes a picture of the view pairs of one batch, to TensorBoard too."""
    grid = grids.view_pairs(two_views, next(iter(dataset)))
    dataset.seek(0)
    grids.write_png(path, grid)
    with disk.naming(run_directory.tensorboard):
        writer = tf.summary.create_file_writer(str(run_directory.tensorboard))
        with writer.as_default(step=0):
            tf.summary.image("views", grid[None])
        writer.close()
