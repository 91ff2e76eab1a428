"""Settings of a command -> its images, and how they reach the networks."""

from simclr_keras import data
from simclr_keras import views
from simclr_keras.images.checks import SMALL_IMAGE
from simclr_keras.training import strategy


def open_source(settings, split, dataset=None):
    """The images of a split, as `--dataset` and its like say."""
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
