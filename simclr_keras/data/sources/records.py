"""Streams record files that TFDS prepared, in order or shuffled."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import randomness

# Number of record files that are read side by side, and of consecutive records
# from each.
_FILES_AT_ONCE = 16
_RECORDS_IN_A_ROW = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """The records of one split.

    Attributes:
        files: paths of the record files, in order.
        skips: `int64`, records at the start of each file that do not belong
            to the split.
        takes: `int64`, records of each file that do.
        features: `tfds.features.FeaturesDict` of the images and perhaps of
            `label`.
        bytes_per_record: average size of a record.
        memory_limit: bytes of encoded images that may be kept in memory.
        image: name of the feature of the images. Default "image".
    """

    files: tuple
    skips: np.ndarray
    takes: np.ndarray
    features: object
    bytes_per_record: float
    memory_limit: int
    image: str = "image"

    @property
    def is_tensor(self) -> bool:
        """Whether the images are stored as tensors, not as encoded files."""
        import tensorflow_datasets as tfds

        return not isinstance(self.features[self.image], tfds.features.Image)

    def __post_init__(self):
        missing = [path for path in self.files if not tf.io.gfile.exists(path)]
        if missing:
            raise ValueError(
                f"{len(missing)} record files of the data set are missing, the"
                f" first of them {missing[0]!r}. Prepare it again"
            )

    def parse(self, record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Parses a record to (encoded image or tensor, `int64` label or -1)."""
        import tensorflow_datasets as tfds

        decoders = None
        if not self.is_tensor:
            decoders = {self.image: tfds.decode.SkipDecoding()}
        example = self.features.deserialize_example(record, decoders=decoders)
        label = example.get("label", tf.constant(-1, tf.int64))
        return example[self.image], tf.cast(label, tf.int64)

    def _read_file(self, number):
        """(position in the split, record) of the split's part of a file."""
        starts = np.concatenate([[0], np.cumsum(self.takes)[:-1]])
        records = tf.data.TFRecordDataset(
            tf.constant(self.files)[number], buffer_size=2**20
        )
        records = records.skip(tf.constant(self.skips)[number])
        records = records.take(tf.constant(self.takes)[number])
        return records.enumerate(tf.constant(starts, tf.int64)[number])

    def _chosen(self, records, positions):
        """Keeps the records at the given positions (sorted, `int64`)."""
        total = int(self.takes.sum())
        if len(positions) == total:
            return records
        wanted = np.zeros(total, bool)
        wanted[positions] = True
        wanted = tf.constant(wanted)
        return records.filter(lambda position, _: wanted[position])

    def in_order(self, positions: np.ndarray) -> tf.data.Dataset:
        """Dataset of (position, record), in the order of the positions."""
        # The files that hold any of them.
        files = np.searchsorted(np.cumsum(self.takes), positions, side="right")
        numbers = tf.data.Dataset.from_tensor_slices(np.unique(files))
        records = self._chosen(numbers.flat_map(self._read_file), positions)
        return records.take(len(positions))

    def shuffled(
        self,
        positions: np.ndarray,
        seed: int,
        epoch: tf.Tensor,
        buffer_size: int,
    ) -> tf.data.Dataset:
        """Dataset of (position, record): a pure function of (seed, epoch).

        The files come in random order, several side by side, and their
        records pass through a shuffle buffer.

        Args:
            positions: sorted `int64` array, positions of the records to read.
            seed: Python integer.
            epoch: `int64` scalar tensor.
            buffer_size: records in the shuffle buffer.
        """
        numbers = tf.data.Dataset.from_tensor_slices(
            randomness.permutation(
                len(self.files), seed, epoch, randomness.FILES
            )
        )
        records = numbers.interleave(
            self._read_file,
            cycle_length=_FILES_AT_ONCE,
            block_length=_RECORDS_IN_A_ROW,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        records = self._chosen(records, positions)
        # `shuffle` mixes its seed with that of the graph, which the user's
        # tf.random.set_seed must not change here.
        tf.compat.v1.get_default_graph().seed = 1
        buffer_seed = randomness.permutation(
            2**16, seed, epoch, randomness.BUFFER
        )[0]
        return records.shuffle(
            buffer_size, seed=buffer_seed, reshuffle_each_iteration=False
        )

    def load(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reads encoded images and labels of some records into memory.

        Returns:
            Array of bytes and `int64` array (-1 without labels).
        """
        examples = self.in_order(positions).map(
            lambda _, record: self.parse(record),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        examples = list(compat.untuned(examples).as_numpy_iterator())
        images = np.empty(len(examples), object)
        images[:] = [image for image, _ in examples]
        return images, np.array([label for _, label in examples], np.int64)

    def read_labels(self, positions: np.ndarray) -> np.ndarray:
        """Labels of some records, `int64`; reads all files once."""
        labels = self.in_order(positions).map(
            lambda _, record: self.parse(record)[1],
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        batches = list(compat.untuned(labels).batch(4096).as_numpy_iterator())
        return np.concatenate(batches)
