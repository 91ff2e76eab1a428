"""Public entry point: opens a data set by name, and makes its batches."""

from __future__ import annotations

import dataclasses

import numpy as np

from simclr_keras import paths
from simclr_keras.choices import FEATURE_IMAGE
from simclr_keras.choices import FEATURE_LABEL
from simclr_keras.data import caching
from simclr_keras.data import corrupt
from simclr_keras.data import pixel_depth
from simclr_keras.data import small_images
from simclr_keras.data import subsets
from simclr_keras.data.epochs import Batches
from simclr_keras.data.pipeline import make_dataset
from simclr_keras.data.sources import array_files
from simclr_keras.data.sources import arrays
from simclr_keras.data.sources import folder
from simclr_keras.data.sources import shard_source
from simclr_keras.data.sources import tfds_source
from simclr_keras.data.sources.label_table import LabelTable
from simclr_keras.data.sources.source import Source
from simclr_keras.images import MAX_PIXELS
from simclr_keras.images import channels as channel_counts
from simclr_keras.images import check_max_pixels
from simclr_keras.images.formats import pixel_range as ranges

_FOLDER, _ARRAYS = "folder:", "arrays:"
MEMORY_LIMIT = 4 * 2**30


def open_source(
    spec: str | np.ndarray | tuple,
    split: str = "train",
    *,
    data_dir: paths.PathLike | None = None,
    seed: int = 0,
    skip_corrupt: bool = False,
    download: bool = False,
    image_size: int | None = None,
    num_examples: int | None = None,
    memory_limit: int = MEMORY_LIMIT,
    split_order: str = "shuffled",
    folder_layout: str = "auto",
    labels: paths.PathLike | LabelTable | None = None,
    pixel_range: tuple[float, float] | None = None,
    channels: int | None = None,
    max_pixels: int = MAX_PIXELS,
    feature_image: str = FEATURE_IMAGE,
    feature_label: str = FEATURE_LABEL,
) -> Source:
    """Opens a data set.

    Args:
        spec: `"shapes"`, the embedded data set; `"folder:/path"`, see
            `folder.open_folder`; `"arrays:/path.npz"`, see
            `array_files.open_array_file`; `"tfrecord:/path/{split}-*"` or
            `"arrayrecord:..."`, see `shard_source.open_shards`; the name of a
            TFDS data set, such as `"cifar10"`; an array of images; a pair
            (images, labels), see `labels.number_labels`; or a triple of these
            and class_names.
        split: name of a split, or a slice of it in TFDS's syntax, such as
            `"train[:90%]"`. Default `"train"`.
        data_dir: folder of TFDS's data sets. Default: TFDS's own.
        seed: which pictures `"shapes"` draws; no other data set depends on
            it. Default 0.
        skip_corrupt: decode every image once when the data set is opened, and
            leave out those that cannot be decoded. Default False: such an image
            stops the run, and the message names it.
        download: let TFDS download and prepare a data set that is not there.
            Default False.
        image_size: height and width of the pictures of `"shapes"` in pixels.
            Default 32.
        num_examples: number of pictures of `"shapes"`. Default 10,000 for
            training, 2,000 for testing.
        memory_limit: bytes that a TFDS data set may take in memory; a larger
            one is streamed from its files. Default 4 GiB.
        split_order: order from which slices of files or of arrays are cut:
            `"shuffled"`, one fixed order in which classes alternate, or
            `"position"`, the order of the files or rows. Slices of TFDS data
            sets and of `"shapes"` are always by position, as in TFDS. Default
            `"shuffled"`.
        folder_layout: what sub-folders mean, see `layout.find`. Default
            `"auto"`.
        labels: CSV file with the labels of a folder's images: its path, if its
            columns are the defaults of `LabelTable`, or a `LabelTable`.
            Default None.
        pixel_range: pair (low, high), the values of 16-bit images, or of
            arrays of any type, that become 0 and 255; such as (0, 4095) for 12
            bits; of DICOM files in rescaled units, such as Hounsfield.
            Default None: the window of a DICOM file; else the range of the
            type, of which 16-bit images must use more than half.
        channels: number of channels that every image has and keeps, such as 1
            for grey images or 13 for bands; folders may hold TIFF files then,
            and TFDS data sets tensors. Default None: images become RGB.
        max_pixels: height times width of the largest image that is decoded;
            a larger one counts as corrupt. Default 89,478,485, as in Pillow.
        feature_image: the encoded image's feature in shards of records.
            Default `"image/encoded"`.
        feature_label: the label's there. Default `"image/class/label"`.

    Returns:
        `Source`.

    Raises:
        ValueError: there is no such data set, split or slice, or it is empty;
            the message says what there is. Or an image has other channels.
        ImportError: the package that reads the files (tifffile, pydicom or
            array_record) is not installed.
    """
    pixel_range = ranges.check(pixel_range)
    labels = _label_table(labels, spec)
    channels = channel_counts.check(channels)
    if not isinstance(spec, str):
        return arrays.open_arrays(
            spec, split, split_order, pixel_range, channels
        )
    if spec == "shapes":
        if channels not in (None, 3):
            raise channel_counts.mismatch("'shapes'", 3, channels)
        if pixel_range is not None:
            raise ValueError(
                "pixel_range must be left out for 'shapes', whose pictures have"
                f" 8 bits. Received: pixel_range={pixel_range}"
            )
        return arrays.open_shapes(split, seed, image_size, num_examples)
    if spec.startswith(_ARRAYS):
        return array_files.open_array_file(
            spec[len(_ARRAYS) :], split, split_order, pixel_range, channels
        )
    if spec.startswith(_FOLDER):
        source = folder.open_folder(
            spec[len(_FOLDER) :],
            split,
            labels=labels,
            folder_layout=folder_layout,
            split_order=split_order,
            skip_corrupt=skip_corrupt,
            channels=channels,
        )
    elif spec.partition(":")[0] in shard_source.FORMATS:
        source = shard_source.open_shards(
            *spec.split(":", 1),
            split,
            feature_image=feature_image,
            feature_label=feature_label,
            split_order=split_order,
        )
    else:
        source = tfds_source.open_tfds(
            spec, split, data_dir, download, memory_limit, channels
        )
    if source.paths is not None:
        corrupt.check_names(source.paths)
    max_pixels = check_max_pixels(max_pixels)
    source = dataclasses.replace(
        source, max_pixels=max_pixels, channels=channels
    )
    # With `skip_corrupt`, images of other channels are left out instead.
    source = pixel_depth.with_pixel_range(
        source, pixel_range, check_channels=not skip_corrupt
    )
    if skip_corrupt:
        source = corrupt.leave_out_corrupt(source)
    return small_images.in_memory(source, memory_limit)


def _label_table(labels, spec):
    """The `LabelTable`, or None; refuses one of images without paths."""
    name = spec if isinstance(spec, str) else "arrays"
    if labels is None:
        return None
    if not name.startswith(_FOLDER):
        raise ValueError(
            "`labels` (--labels) must be left out of any data set but"
            f" folder:/path, whose images it names. Received: {name}"
        )
    return labels if isinstance(labels, LabelTable) else LabelTable(labels)


def load(
    spec: str | np.ndarray | tuple,
    *,
    image_size: int | tuple[int, int] | None = None,
    batch_size: int,
    split: str = "train",
    seed: int = 0,
    labelled: bool = False,
    views: int = 2,
    training: bool = True,
    label_fraction: float | None = None,
    data_dir: paths.PathLike | None = None,
    skip_corrupt: bool = False,
    download: bool = False,
    num_examples: int | None = None,
    memory_limit: int = MEMORY_LIMIT,
    pixel_range: tuple[float, float] | None = None,
    channels: int | None = None,
    max_pixels: int = MAX_PIXELS,
    feature_image: str = FEATURE_IMAGE,
    feature_label: str = FEATURE_LABEL,
    cache: str = "none",
    cache_dir: paths.PathLike | None = None,
    split_order: str = "shuffled",
    folder_layout: str = "auto",
    labels: paths.PathLike | LabelTable | None = None,
    **pipeline,
) -> Batches:
    """Opens a data set and makes its batches, by default for pre-training.

    Example:
        >>> photos = load("folder:/photos", image_size=224, batch_size=256)
        >>> model.fit(photos, epochs=100)

    Args:
        spec: see `open_source`.
        image_size: height and width in pixels of the crops of photographs,
            and of the pictures of `"shapes"`.
        batch_size: images per step, over all replicas.
        split: see `open_source`.
        seed: seed of order, crops and label subset. Default 0.
        labelled: yield pairs (images, labels). Default False.
        views: crops per photograph in training. Default 2.
        training: shuffle, and crop at random. Default True.
        label_fraction: keep this part only, as `label_subset`. Default: all.
        data_dir: see `open_source`.
        skip_corrupt: see `open_source`.
        download: see `open_source`.
        num_examples: see `open_source`.
        memory_limit: see `open_source`.
        pixel_range: see `open_source`.
        channels: see `open_source`.
        max_pixels: see `open_source`.
        feature_image: see `open_source`.
        feature_label: see `open_source`.
        cache: `"memory"`, `"disk"` or `"auto"` keep photographs decoded, for
            later epochs; see `cached`. Default `"none"`.
        cache_dir: directory of the files of `cache="disk"`; see `cached`.
        split_order: see `open_source`.
        folder_layout: see `open_source`.
        labels: see `open_source`.
        **pipeline: further arguments of `make_dataset`.

    Returns:
        `Batches`, see `make_dataset`.

    Raises:
        ValueError: see `open_source` and `make_dataset`.
    """
    source = open_source(
        spec,
        split,
        data_dir=data_dir,
        skip_corrupt=skip_corrupt,
        download=download,
        image_size=image_size,
        num_examples=num_examples,
        memory_limit=memory_limit,
        split_order=split_order,
        folder_layout=folder_layout,
        labels=labels,
        pixel_range=pixel_range,
        channels=channels,
        max_pixels=max_pixels,
        feature_image=feature_image,
        feature_label=feature_label,
    )
    if label_fraction is not None:
        source = subsets.label_subset(source, label_fraction, seed)
    source = caching.cached(source, cache, directory=cache_dir)
    return make_dataset(
        source,
        batch_size=batch_size,
        image_size=image_size,
        training=training,
        labelled=labelled,
        views=views,
        seed=seed,
        **pipeline,
    )
