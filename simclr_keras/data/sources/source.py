"""Describes a data set to the pipeline: its examples and their labels.

A source is opened once (`open_source`), perhaps reduced (`label_subset`,
`hold_out`), and handed to `make_dataset`.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from simclr_keras.data.sources import listing
from simclr_keras.data.sources.layout import classes_text
from simclr_keras.images import MAX_PIXELS


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """One split of a data set, or a part of it.

    Exactly one of `images`, `files`, `encoded`, `shards` and `records` holds
    the pictures, or `decoded` does; only the pipeline needs to know which.

    Attributes:
        name: the data set, such as `"cifar10"`.
        split: the part of it that was opened, such as `"train[:90%]"`.
        origin: the whole split in which `positions` count, such as
            `"shapes:train"`.
        positions: `int64` `[num_examples]`, the number of each example in the
            whole split; a subset keeps the numbers.
        labels: `int64` `[num_examples]`, or `float32` `[num_examples, K]` (see
            `task`), or None if the source has none or streams them (then
            `has_labels` is true).
        class_names: names of the classes in order of their labels, or of the
            columns of `labels`, or None.
        task: what labels are. `"classification"`: numbers of classes;
            `"multilabel"`: 0 and 1 for each of several labels;
            `"regression"`: numbers.
        image_shape: (height, width, channels), sides in pixels, if it is the
            same for every image, None for photographs of any size.
        images: `uint8` array `[num_examples, H, W, C]` in memory.
        files: array of paths of image files.
        encoded: array of encoded images (bytes) in memory.
        shards: record files to read single images from (`shards.Shards`).
        records: record files to stream from (`records.Records`).
        decoded: pixels of `files` or `shards`, or of images that were in
            `encoded` before (`decoded.Decoded`).
        max_pixels: largest image that is decoded, height times width.
        pixel_range: (low, high), the values of 16-bit images that become 0 and
            255, if it was given; else None. Of DICOM files, the rescaled ones.
        channels: stated number that every image has; None: images are RGB, and
            others are converted.
        skipped: `ids` of corrupt images that were left out.
        layout: how a folder or shards were read, such as `"splits train,
            test; classes a, b"`; else empty.
        left_out: pairs (kind, number) of the other files of a folder, such as
            `(".tiff", 20)`, or of the other arrays of a file.
    """

    name: str
    split: str
    origin: str
    positions: np.ndarray = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(default=None, repr=False)
    class_names: tuple = dataclasses.field(default=None, repr=False)
    task: str = "classification"
    image_shape: tuple = None
    images: np.ndarray = dataclasses.field(default=None, repr=False)
    files: np.ndarray = dataclasses.field(default=None, repr=False)
    encoded: np.ndarray = dataclasses.field(default=None, repr=False)
    shards: object = dataclasses.field(default=None, repr=False)
    records: object = dataclasses.field(default=None, repr=False)
    decoded: object = dataclasses.field(default=None, repr=False)
    max_pixels: int = MAX_PIXELS
    pixel_range: tuple = None
    channels: int = None
    skipped: tuple = dataclasses.field(default=(), repr=False)
    layout: str = dataclasses.field(default="", repr=False)
    left_out: tuple = dataclasses.field(default=(), repr=False)

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return len(self.positions)

    @property
    def num_channels(self) -> int:
        """Number of channels of the images that the pipeline yields."""
        return self.channels or 3

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or of columns of labels; None without labels."""
        return None if self.class_names is None else len(self.class_names)

    @property
    def has_labels(self) -> bool:
        """Whether every example has a label."""
        return self.class_names is not None

    @property
    def has_classes(self) -> bool:
        """Whether every example has a label, and it is one class."""
        return self.has_labels and self.task == "classification"

    @property
    def paths(self) -> np.ndarray | tuple | None:
        """Paths of the files that images are read from, None without."""
        return self.shards.files if self.shards else self.files

    @property
    def ids(self) -> list[str]:
        """One string per example, in order: its path, or a name and number."""
        if self.files is not None:
            return self.files.tolist()
        if self.shards is not None:
            return self.shards.names(self.positions)
        return [f"{self.origin}#{i}" for i in self.positions]

    def summary(self) -> str:
        """One line: what was opened, its classes, and what was left out."""
        parts = [f"{self.name} {self.split}: {self.num_examples} images"]
        if self.layout:
            parts.append(self.layout)
        elif self.has_labels:
            parts.append(classes_text(self.class_names))
        else:
            parts.append("no labels")
        left_out = self.left_out
        if self.skipped:
            left_out = (("corrupt", len(self.skipped)), *left_out)
        if left_out:
            parts.append(f"left out: {listing.counted(left_out)}")
        return "; ".join(parts)

    def take(self, indices: np.ndarray) -> Source:
        """Returns the source of some of the examples.

        Examples of a stream are read into memory if they are small enough.

        Args:
            indices: integers in [0, num_examples), in the order of the result;
                increasing if the source streams.

        Raises:
            ValueError: an index is out of range, there is none, or those of a
                stream do not increase.
        """
        indices = np.asarray(indices, np.int64).reshape(-1)
        n = self.num_examples
        if len(indices) == 0 or indices.min() < 0 or indices.max() >= n:
            raise ValueError(
                f"`indices` must hold numbers in [0, {n}), at least one."
                f" Received: {indices!r}"
            )
        if self.records is not None and np.any(np.diff(indices) <= 0):
            raise ValueError(
                f"`indices` must increase, as {self.name} is streamed from"
                f" its record files in order. Received: {indices!r}"
            )

        def part(values):
            return None if values is None else values[indices]

        taken = dataclasses.replace(
            self,
            positions=self.positions[indices],
            labels=part(self.labels),
            images=part(self.images),
            files=part(self.files),
            encoded=part(self.encoded),
            shards=self.shards and self.shards.take(indices),
            decoded=self.decoded and self.decoded.take(indices),
        )
        return taken if self.records is None else load_if_small(taken)


def load_if_small(source: Source) -> Source:
    """Reads a stream's encoded images into memory if they are small enough."""
    records = source.records
    if records.is_tensor:
        return source
    if source.num_examples * records.bytes_per_record > records.memory_limit:
        return source
    encoded, labels = records.load(source.positions)
    return dataclasses.replace(
        source,
        encoded=encoded,
        labels=labels if source.has_labels else None,
        records=None,
    )


def without_void_labels(source: Source) -> Source:
    """Drops all labels if some are -1.

    TFDS gives this label to images without one, such as stl10's `unlabelled`,
    and so does `record_labels` to records without one.
    """
    if source.labels is None or source.labels.min() >= 0:
        return source
    void = int((source.labels < 0).sum())
    if void < source.num_examples:
        warnings.warn(
            f"{source.name} ({source.split}) counts as unlabelled: {void} of"
            f" {source.num_examples} images have no label, or the label -1.",
            stacklevel=4,
        )
    return dataclasses.replace(source, labels=None, class_names=None)


def read_labels(source: Source) -> np.ndarray:
    """Labels of all examples, see `Source`; of a stream, by one pass over it.

    Raises:
        ValueError: the source has no labels, or not for every example.
    """
    require_labels(source)
    if source.labels is not None:
        return source.labels
    labels = source.records.read_labels(source.positions)
    if labels.min() < 0:
        raise ValueError(
            f"Every example of {source.name} ({source.split}) must have a"
            f" label. Received: -1 for {(labels < 0).sum()} of {len(labels)}"
        )
    return labels


def require_labels(source: Source) -> None:
    """Raises a `ValueError` if the source has no labels."""
    if not source.has_labels:
        raise ValueError(
            "Labels are needed: a folder is labelled by a sub-folder per"
            " class or a CSV file (--labels), arrays by a pair (images,"
            " labels), shards of records by the feature of --feature_label, a"
            " TFDS data set by a ClassLabel"
            f" feature. Received: {source.summary()}"
        )
