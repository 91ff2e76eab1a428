"""Has the batches of a training decoded and cropped by a tf.data service.

The workers of the service take the numbers of the batches in turn, and send the
batches as they finish. A batch is a pure function of its number, so it does not
matter which machine makes it: this module puts those that arrive in order, and
the pipeline makes those that do not arrive itself.
"""

from __future__ import annotations

import dataclasses
import math
import re
import socket
import threading

import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.data.arrivals import Arrivals
from simclr_keras.data.decoded_batches import DecodedBatches
from simclr_keras.data.examples import Examples
from simclr_keras.data.sources.source import Source
from simclr_keras.data.subsets import spread_rows
from simclr_keras.images.formats import contents

# Seconds within which a dispatcher must answer.
_ANSWER_SECONDS = 10
# Batches that wait in memory for their turn, at most, and the bytes that they
# may take; but room for a few of any size.
_AHEAD, _AHEAD_BYTES, _LEAST_AHEAD = 16, 2**30, 4
# Batches that a worker makes at once, so that its cores are not idle at the end
# of each.
_AT_ONCE = 2
# Number of images whose format is examined before a training.
_SAMPLE = 64
_ADDRESS = re.compile(
    r"grpc://(?P<host>[^/:\[\]]+|\[[^/\[\]]+\]):(?P<port>\d+)"
)


def check_address(address: str) -> tuple[str, int]:
    """Splits an address into host and port.

    Raises:
        ValueError: it is not grpc://HOST:PORT.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise ValueError(
            "`data_service` (--data_service) must be the address of a"
            " dispatcher of tf.data service, grpc://HOST:PORT, such as"
            f" grpc://decoder.local:5050. Received: {address!r}"
        )
    return match["host"].strip("[]"), int(match["port"])


def check_source(source: Source) -> None:
    """Refuses images that the workers of a service cannot read.

    Raises:
        ValueError: the images are not in files, are decoded already, or one of
            a sample is not JPEG.
    """
    if source.decoded is not None or source.paths is None:
        kept = "decoded" if source.decoded is not None else "in memory"
        if source.records is not None:
            kept = "streamed by TensorFlow Datasets"
        raise ValueError(
            "`data_service` (--data_service) is for images that its workers"
            " read from files: folder:PATH, or tfrecord:PATTERN of shards such"
            f" as tools/pack_folder writes. Received: {source.name}, whose"
            f" images are {kept}"
        )
    fetch = Examples(source).fetch
    rows = spread_rows(source.num_examples, _SAMPLE)
    other = [row for row in rows if not _may_be_jpeg(fetch, row)]
    if other:
        raise ValueError(
            "`data_service` (--data_service) is for JPEG, which its workers"
            " decode without Python; other images would be decoded here."
            f" Received: {len(other)} of {len(rows)} images examined are not"
            f" JPEG, the first of them {source.take([other[0]]).ids[0]}"
        )


def _may_be_jpeg(fetch, row):
    """Whether an image is a JPEG; a file that cannot be read may be one."""
    try:
        return bool(contents.is_jpeg(fetch(tf.constant(row))[0]))
    except tf.errors.OpError:
        return True  # the pipeline names it when it is its turn


def check_answers(address: str) -> None:
    """Refuses an address where no dispatcher answers within ten seconds.

    Raises:
        ValueError: nothing answers there, or what does refuses this process.
    """
    rule = (
        "`data_service` (--data_service) must be the address of a running"
        " dispatcher of tf.data service, of this version of TensorFlow"
        f" ({tf.__version__}). Received: {address},"
    )
    try:
        place = check_address(address)
        socket.create_connection(place, _ANSWER_SECONDS).close()
    except OSError as error:
        raise ValueError(f"{rule} where nothing answers ({error})") from None
    failed = []

    def register():
        try:
            probe = tf.data.Dataset.range(1)
            tf.data.experimental.service.register_dataset(address, probe)
        except Exception as error:
            failed.append(error)

    # TensorFlow would repeat the request for an hour.
    thread = threading.Thread(target=register, daemon=True)
    thread.start()
    thread.join(_ANSWER_SECONDS)
    if thread.is_alive():
        raise ValueError(
            f"{rule} which accepts connections, and did not answer a request"
            f" within {_ANSWER_SECONDS} s"
        )
    if failed:
        raise ValueError(f"{rule} which answers: {failed[0]}")


class ServedBatches:
    """Makes the batches of an epoch: the `one_epoch` of `epochs.Batches`.

    Args:
        batches: `DecodedBatches`, which says what a batch is.
        address: address of the dispatcher, `grpc://HOST:PORT`.
    """

    def __init__(self, batches: DecodedBatches, address: str):
        self._batches, self._address = batches, address
        self._arrivals = {}  # by part and crops

    def __call__(self, epoch, first_step, part, crops):
        """Dataset of (pixels, labels) from a step of an epoch on."""
        batches = self._batches
        rows = batches.batch_size // part[1]
        if batches.total % batches.batch_size:
            rows = None
        arrivals = self._arrivals_of(part, crops)

        def receive(step):
            number = epoch * batches.steps + step
            label = batches.label_spec
            arrived, pixels, labels = tf.py_function(
                arrivals.take, [number], [tf.bool, batches.dtype, label.dtype]
            )
            arrived = tf.cast(tf.ensure_shape(arrived, []), tf.int64)
            return step, arrived, pixels, labels

        def received(pixels, labels):
            shape = [rows, *batches.label_spec.shape]
            pixels = tf.ensure_shape(pixels, [rows, *batches.shape])
            return pixels, tf.ensure_shape(labels, shape)

        def choose(step, arrived, pixels, labels):
            there = tf.data.Dataset.from_tensors((pixels, labels))
            there = there.take(arrived).map(received)
            # Nothing of this is computed for a batch that arrived.
            here = tf.data.Dataset.range(1 - arrived).flat_map(
                lambda _: batches(epoch, step, part, crops).take(1)
            )
            return there.concatenate(here)

        steps = tf.data.Dataset.range(first_step, batches.steps)
        return steps.map(receive).flat_map(choose)

    def _arrivals_of(self, part, crops):
        key = (part, crops)
        if key not in self._arrivals:
            batches = self._batches
            rows = batches.batch_size // part[1]
            size = rows * math.prod(batches.shape) * batches.dtype.size
            ahead = max(_LEAST_AHEAD, min(_AHEAD, _AHEAD_BYTES // size))
            dtypes = batches.dtype, batches.label_spec.dtype
            empty = tuple(np.zeros(0, x.as_numpy_dtype) for x in dtypes)

            def from_number(number):
                with tf.device("CPU:0"):
                    dataset = _of_workers(batches, number, part, crops)
                arriving = dataset.apply(
                    tf.data.experimental.service.distribute(
                        tf.data.experimental.service.ShardingPolicy.DYNAMIC,
                        self._address,
                        compression=None,  # it does not shrink pixels
                    )
                )
                # The options of what the workers run do not reach this.
                return compat.untuned(arriving)

            self._arrivals[key] = Arrivals(
                from_number, empty, ahead, self._address
            )
        return self._arrivals[key]


def _of_workers(batches, first, part, crops):
    """The data set that the workers run, from a batch on, without an end.

    Its elements are the number of a batch, counted over all epochs, whether the
    batch is complete, its pixels and its labels.
    """
    index, parts = part
    size, steps = batches.batch_size // parts, batches.steps
    on_worker = dataclasses.replace(
        batches, examples=_JpegExamples(batches.examples)
    )

    def choose_rows(state, number):
        epoch = number // steps
        # A worker shuffles once for all its batches of an epoch.
        order = tf.cond(
            tf.equal(epoch, state[0]),
            lambda: state[1],
            lambda: batches.examples.order(epoch),
        )
        start = number % steps * batches.batch_size + index * size
        stop = tf.minimum(start + size, batches.total)
        return (epoch, order), (
            number,
            tf.range(start, stop),
            order[start:stop],
        )

    def make(number, numbers, rows):
        found = tf.data.Dataset.from_tensor_slices((numbers, rows))
        found = on_worker.decode(found, number // steps, crops)

        def with_number(found, labels, pixels):
            complete = tf.equal(tf.size(found), tf.size(numbers))
            return number, complete, pixels, labels

        return found.batch(size).map(with_number)

    no_order = tf.zeros([batches.examples.source.num_examples], tf.int64)
    numbers = tf.data.Dataset.range(first, 2**62).scan(
        (tf.constant(-1, tf.int64), no_order),
        tf.autograph.experimental.do_not_convert(choose_rows),
    )
    found = numbers.interleave(
        tf.autograph.experimental.do_not_convert(make),
        cycle_length=_AT_ONCE,
        num_parallel_calls=_AT_ONCE,
        deterministic=False,
    )
    return compat.untuned(found)


class _JpegExamples:
    """`Examples` of which only JPEG is decoded, as that needs no Python."""

    def __init__(self, examples):
        self.size, self.decode = examples.size, examples.decode
        self._fetch = examples.fetch

    def fetch(self, key):
        encoded, label = self._fetch(key)
        check = tf.debugging.Assert(contents.is_jpeg(encoded), ["not JPEG"])
        with tf.control_dependencies([check]):
            return tf.identity(encoded), label
