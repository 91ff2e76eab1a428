"""Opens a data set that tensorflow-datasets has prepared."""

from __future__ import annotations

import os

import numpy as np

from simclr_keras import paths
from simclr_keras.data.sources import slices
from simclr_keras.data.sources import tensor_features
from simclr_keras.data.sources.records import Records
from simclr_keras.data.sources.source import Source
from simclr_keras.data.sources.source import load_if_small
from simclr_keras.data.sources.source import without_void_labels
from simclr_keras.images.channels import mismatch


def open_tfds(
    name: str,
    split: str,
    data_dir: paths.PathLike | None,
    download: bool,
    memory_limit: int,
    channels: int | None = None,
) -> Source:
    """Opens a prepared TFDS data set.

    The encoded images are read into memory if they need no more than
    `memory_limit`; else they are streamed from their files in every epoch.

    Args:
        name: TFDS name, such as `"cifar10"` or `"imagenet2012_subset/1pct"`.
        split: split in TFDS's own syntax.
        data_dir: TFDS folder; None for TFDS's default.
        download: download and prepare the data set if it is not there.
        memory_limit: bytes.
        channels: number of channels of the images. Images may then be a Tensor
            feature `[H, W, channels]`, which stays streamed here. Default
            None: images are an Image feature, and become RGB.

    Returns:
        `Source` with `encoded` or `records`.

    Raises:
        ValueError: the name or split is unknown, the data is not prepared, or
            its features are not images.
    """
    builder = _prepared_builder(name, data_dir, download)
    features, image = _features(builder, name, channels)
    records = _records(builder, name, split, features, image, memory_limit)
    height, width = features[image].shape[:2]
    source = Source(
        name=name,
        split=split,
        origin=f"{name}:{split}",
        positions=np.arange(int(records.takes.sum())),
        class_names=_class_names(features),
        image_shape=(
            (height, width, channels or 3) if height and width else None
        ),
        records=records,
        channels=channels,
    )
    return without_void_labels(load_if_small(source))


def _prepared_builder(name, data_dir, download):
    import tensorflow_datasets as tfds

    data_dir = data_dir or os.environ.get(
        "TFDS_DATA_DIR", "~/tensorflow_datasets"
    )
    data_dir = paths.as_path(data_dir, "data_dir")
    if paths.is_remote(data_dir):
        _register_scheme(data_dir.scheme)
    try:
        builder = tfds.builder(name, data_dir=str(data_dir))
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as e:
        raise ValueError(
            "The data set must be 'shapes', 'folder:/path', 'arrays:/path',"
            " 'tfrecord:PATTERN', 'arrayrecord:PATTERN', or a name that"
            f" tensorflow-datasets knows. Received: {name!r}."
            f" Prepared under {data_dir}: {_prepared(data_dir)}."
            f" {str(e).splitlines()[0]}"
        ) from e
    if not builder.is_prepared():
        if not download:
            raise ValueError(
                f"The TFDS data set {name!r} must be prepared under {data_dir};"
                f" there is: {_prepared(data_dir)}. Name another `data_dir`,"
                f" run `tfds build {name} --data_dir={data_dir}`, or ask for"
                " it with download=True"
            )
        builder.download_and_prepare()
    return builder


class _EtilsPath(paths.RemotePath):
    """`RemotePath` with the methods that `etils.epath`, used by TFDS, needs."""

    def __init__(self, *parts):
        super().__init__("/".join(map(os.fspath, parts)))

    def __fspath__(self):
        return str(self)


def _register_scheme(scheme):
    """Lets `etils.epath` read a scheme that only TensorFlow knows."""
    from etils import epath  # slow to import

    try:
        epath.Path(f"{scheme}://")
    except KeyError:
        epath.register_path_cls(f"{scheme}://")(_EtilsPath)


def _prepared(data_dir):
    """Names of the data sets under a TFDS folder, as a text."""
    names = {
        folder.parent.relative_to(data_dir)
        for folder, _, files in paths.walk(data_dir)
        if "dataset_info.json" in files
    }
    return ", ".join(sorted(map(str, names))) or "nothing"


def _features(builder, name, channels):
    """The features of images and labels, and the name of the former."""
    import tensorflow_datasets as tfds

    all_features = dict(builder.info.features.items())
    features = {}
    for key, kind in (
        ("image", tfds.features.Image),
        ("label", tfds.features.ClassLabel),
    ):
        if isinstance(all_features.get(key), kind):
            features[key] = all_features[key]
    if "image" not in features and channels is not None:
        found = tensor_features.find(all_features, channels, name)
        features[found] = all_features[found]
        return tfds.features.FeaturesDict(features), found
    if "image" not in features:
        raise ValueError(
            "The TFDS data set must have an Image feature called 'image', or"
            " images as a Tensor feature, whose number of channels channels=13"
            " (--channels=13) states."
            f" Received: {name!r} with the features {sorted(all_features)}"
        )
    stored = features["image"].shape[-1]
    if None not in (channels, stored) and channels != stored:
        raise mismatch(f"the data set {name!r}", stored, channels)
    kind = np.dtype(features["image"].np_dtype)
    if kind not in (np.uint8, np.uint16):
        raise ValueError(
            "The Image feature of a TFDS data set must be uint8 or uint16:"
            " TFDS writes float32 into PNG files as their four bytes, whose"
            " range nobody knows. Save the images as uint16, or give arrays"
            f" (arrays:FILE.npz --pixel_range). Received: {name!r} with images"
            f" of {kind}"
        )
    return tfds.features.FeaturesDict(features), "image"


def _class_names(features):
    return tuple(features["label"].names) if "label" in features else None


def _records(builder, name, split, features, image, memory_limit):
    import tensorflow_datasets as tfds

    info = builder.info
    if info.file_format != tfds.core.FileFormat.TFRECORD:
        raise ValueError(
            "TFDS data sets are read from TFRecord files; ArrayRecord files by"
            " --dataset='arrayrecord:PATTERN' --feature_image=image"
            f" --feature_label=label. Received: {name!r}, prepared as"
            f" {info.file_format} in {builder.data_dir}"
        )
    base, _, _ = split.partition("[")
    if base not in info.splits and "+" not in split:
        slices.check_split(name, base, list(info.splits))
    try:
        instructions = info.splits[split].file_instructions
    except ValueError as e:
        raise ValueError(
            f"`split` must be one that {name} has ({', '.join(info.splits)})"
            f" or a slice of one. Received: split={split!r}. {e}"
        ) from e
    if not instructions:
        raise ValueError(
            f"`split` must leave at least one example of {name}. Received:"
            f" split={split!r}"
        )
    whole = info.splits.values()
    num_records = sum(part.num_examples for part in whole)
    return Records(
        files=tuple(str(part.filename) for part in instructions),
        skips=np.array([part.skip for part in instructions], np.int64),
        takes=np.array([part.take for part in instructions], np.int64),
        features=features,
        bytes_per_record=sum(part.num_bytes for part in whole) / num_records,
        memory_limit=memory_limit,
        image=image,
    )
