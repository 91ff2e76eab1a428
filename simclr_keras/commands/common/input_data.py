"""Opens the images that the flags name."""

import simclr_keras as sk


def open_source(flags, split, labels=None, dataset=None):
    """Opens a split of `--dataset`, or of another data set.

    Args:
        flags: the command's.
        split: name of a split or a slice of it.
        labels: `label_flags.table` of the flags, for `--dataset`. Defaults
            to None.
        dataset: name of another data set. Defaults to None: `--dataset`.

    Raises:
        slices.NoSuchSplit: there is no such split; it names the flag.
    """
    from simclr_keras.data.sources import slices

    try:
        return sk.data.open_source(
            dataset or flags.dataset,
            split,
            data_dir=flags.data_dir,
            download=flags.download,
            skip_corrupt=flags.skip_corrupt,
            split_order=flags.split_order,
            folder_layout=flags.folder_layout,
            labels=labels,
            pixel_range=flags.pixel_range,
            channels=flags.channels,
            max_pixels=flags.max_pixels,
            feature_image=flags.feature_image,
            feature_label=flags.feature_label,
        )
    except slices.NoSuchSplit as error:
        if dataset is not None:
            raise
        raise slices.NoSuchSplit(f"{error}{_flag_of(flags, split)}") from None


def _flag_of(flags, split):
    """Says which flag has named a split, and how to divide a single one."""
    names = ("train_split", "eval_split", "split")
    names = [n for n in names if getattr(flags, n, None) == split]
    if not names:
        return ""
    text = f", by --{names[0]}"
    if hasattr(flags, "eval_split"):
        text += (
            ". To divide a single split: --train_split=train[:80%]"
            " --eval_split=train[80%:]"
        )
    return text


def cached(flags, source, epochs, *, trained=True):
    """The source with decoded images cached as `--cache` says.

    Args:
        flags: the command's.
        source: `data.Source`.
        epochs: passes over its images, perhaps a fraction; `--cache=auto`
            caches for more than one only.
        trained: whether these are training images, which are not cached with
            `--data_service`. Default True.
    """
    if trained and flags.data_service is not None:
        return source
    return sk.data.cached(
        source,
        flags.cache,
        directory=flags.cache_dir,
        limit=int(flags.cache_gib * 2**30) or None,
        epochs=epochs,
    )


def image_size(flags, source=None, checkpoint_size=None):
    """Side of the network's input in pixels.

    Args:
        flags: the command's, whose `--image_size` comes first.
        source: images for the network, or None if they are not known.
        checkpoint_size: size that the network was trained on, or None.

    Raises:
        ValueError: none of the three gives a size.
    """
    if flags.image_size:
        return flags.image_size
    if checkpoint_size:
        return checkpoint_size
    if source is None:
        raise ValueError(
            "--image_size must be given: the model does not say on which size"
            " it was trained. Received: --image_size=0"
        )
    return _size_of_run(flags) or sk.data.default_size(source)


def _size_of_run(flags):
    """Image size with which the run in `--model_dir` began, or None.

    By now the default may be another: files were added, or an earlier release,
    whose default was 224 for all files, began the run.
    """
    from simclr_keras.training import environment

    if not getattr(flags, "model_dir", None):
        return None
    run = sk.training.RunDirectory(flags.model_dir)
    if not run.checkpoints.is_dir():
        return None
    model = environment.first_model(run.environment)
    # A `Classifier` says its own; it may have no views.
    size = model.get("model.image_size", model.get("views.image_size.0"))
    return size and int(size)


def check_classes(source, held_out):
    """Refuses sources without labels, or with classes to evaluate on alone.

    Args:
        source: labelled training images.
        held_out: labelled evaluation images.
    """
    for each in (source, held_out):
        sk.data.require_labels(each)
    if held_out.num_classes > source.num_classes:
        raise ValueError(
            "--eval_split must have no classes that --train_split lacks."
            f" Received: {held_out.num_classes} classes in"
            f" {held_out.summary()}, {source.num_classes} in {source.summary()}"
        )


def check_shown(flags, source):
    """Refuses a `--show_channels` that the images do not have."""
    from simclr_keras.report import bands

    bands.check(flags.show_channels, source.num_channels, "--show_channels")
