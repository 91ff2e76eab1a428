"""Gives `fit` the batches of a data set, epoch after epoch.

An epoch is one pass over the images, and its batches are a pure function of its
number. The only state is the position of the next: training resumes anywhere.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from simclr_keras import compat
from simclr_keras.data.host_crops import NO_CROPS
from simclr_keras.data.host_crops import HostCrops
from simclr_keras.data.host_crops import ViewCrops
from simclr_keras.images import random_crops

# The share of a process in each batch, a pair (number of the process, number of
# processes): here all of it, as there is one.
WHOLE = (0, 1)


class Position:
    """The next epoch to draw, and the step in it.

    Two variables, which the pipeline reads and advances while it runs.
    """

    def __init__(self):
        with tf.init_scope(), tf.device("CPU:0"):
            self.epoch = tf.Variable(0, trainable=False, dtype=tf.int64)
            self.step = tf.Variable(0, trainable=False, dtype=tf.int64)

    def take(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `(epoch, step)`, and advances to the next epoch."""
        step = tf.identity(self.step)
        with tf.control_dependencies([step]):
            reset = self.step.assign(0, read_value=False)
        with tf.control_dependencies([reset]):
            return self.epoch.assign_add(1, read_value=True) - 1, step


class Batches:
    """The batches of a data set: each iteration is its next epoch.

    Made by `load` and `make_dataset`. Every model of `simclr_keras` takes it in
    `fit` (also as `validation_data`), `evaluate` and, if it is not shuffled,
    `predict`; so does all of `simclr_keras.evaluation`. `fit` crops photographs
    as the views of the model state, gives each epoch the order of its number,
    and can resume in the middle of an epoch.

    It is not a `tf.data.Dataset`. `as_dataset()` returns one, for other models
    and for `take`, `map` and the like. With a data set made from that, `fit`
    cannot do the above, see there.

    Args:
        one_epoch: function of (epoch, first step, part, crops) that returns
            the `tf.data.Dataset` of that epoch's batches from that step on.
            Epoch and step are `int64` scalar tensors; the part is a pair (i,
            n) of integers: rows `i b / n` to `(i + 1) b / n` of each batch of
            b; the crops are those that `HostCrops.resolve` takes.
        steps: batches of an iteration.
        element_spec: nest of `tf.TensorSpec`, the form of a batch.
        host_crops: `HostCrops` of the images, or None. Defaults to None.
        probe_crops: likewise of a probe's images. Defaults to None.
        epochs_per_fit_epoch: number of epochs in an iteration, which `fit`
            calls an epoch. Defaults to 1.
        is_shuffled: whether each epoch has another order. Defaults to False.
        one_crop: function that returns the same batches with one crop of each
            photograph instead of two. Defaults to None: there is no such.

    Attributes:
        steps: batches of an iteration from its beginning.
        element_spec, host_crops, probe_crops, epochs_per_fit_epoch,
            is_shuffled: see above.
    """

    def __init__(
        self,
        one_epoch: Callable[..., tf.data.Dataset],
        steps: int,
        element_spec: Any,
        *,
        host_crops: HostCrops | None = None,
        probe_crops: HostCrops | None = None,
        epochs_per_fit_epoch: int = 1,
        is_shuffled: bool = False,
        one_crop: Callable[[], Batches] | None = None,
    ):
        self.one_epoch = one_epoch
        self.steps = steps
        self.element_spec = element_spec
        self.host_crops = host_crops
        self.probe_crops = probe_crops
        self.epochs_per_fit_epoch = epochs_per_fit_epoch
        self.is_shuffled = is_shuffled
        self._one_crop = one_crop and functools.cache(one_crop)
        self._crops = NO_CROPS
        self._first = 0
        self._position = Position()
        self._pipelines = {}  # by crops and range of steps, for all copies

    @property
    def first_step(self) -> int:
        """Step at which every iteration begins; 0 except after `from_step`."""
        return self._first

    @property
    def epoch(self) -> int:
        """Number of the epoch that the next iteration draws, from 0."""
        return int(self._position.epoch.numpy())

    def seek(self, epoch: int, step: int = 0) -> None:
        """Makes the next iteration begin at a step of an epoch.

        That iteration ends with the epoch; the one after it begins the next
        epoch. An existing iterator that has drawn nothing yet obeys too.
        """
        self._position.epoch.assign(epoch)
        self._position.step.assign(step)

    def as_dataset(self) -> tf.data.Dataset:
        """The same batches as a `tf.data.Dataset`, which shares the position.

        The pipeline is built once, at the first call. Its photographs have the
        crops of `with_crops`, else those stated for the data set, else the
        default; `fit` can no longer change them.
        """
        return self.open_ended().apply(
            tf.data.experimental.assert_cardinality(len(self))
        )

    def open_ended(self) -> tf.data.Dataset:
        """`as_dataset` of unknown length.

        If a length is stated, TensorFlow refuses an iteration that begins in
        the middle of an epoch.
        """
        key = (self._crops, self._first)
        if key not in self._pipelines:
            with tf.init_scope():
                self._pipelines[key] = _iterations(self._position, self._from)
        return self._pipelines[key]

    def between(self, first: int, stop: int) -> tf.data.Dataset:
        """The batches `first` to `stop - 1` of every epoch, for evaluation.

        The batches before are skipped without decoding an image. The pipeline
        is built once. An iteration advances the shared position by an epoch, as
        one over all batches does.

        Args:
            first: number of the first batch, from 0.
            stop: number of the batch after the last one, at most the length.
        """
        key = (self._crops, self._first + first, stop - first)

        def batches(epoch, step):
            del step  # that of a training that resumes
            begin = tf.constant(self._first + first, tf.int64)
            found = self.one_epoch(epoch, begin, WHOLE, self._crops)
            return found.take(stop - first)

        if key not in self._pipelines:
            with tf.init_scope():
                self._pipelines[key] = _iterations(self._position, batches)
        return self._pipelines[key].apply(
            tf.data.experimental.assert_cardinality(stop - first)
        )

    def _from(self, epoch, step):
        return self.one_epoch(epoch, step + self._first, WHOLE, self._crops)

    def endless(self, part: tuple[int, int]) -> tf.data.Dataset:
        """One process's part of all batches, epoch after epoch.

        The process reads and decodes no other images.

        Args:
            part: pair of integers (i, n): rows `i b / n` to `(i + 1) b / n` of
                each batch of b, which n divides.

        Returns:
            `tf.data.Dataset` that never ends and shares the position.

        Raises:
            ValueError: these are batches of `from_step`.
        """
        if self.first_step:
            raise ValueError(
                "several processes read whole epochs; train on the rest of one"
                " in one process, or leave out from_step. Received: batches"
                f" from step {self.first_step} on"
            )

        def batches(first, step):
            def one_epoch(number):
                begin = tf.where(number == first, step, 0)
                return self.one_epoch(number, begin, part, self._crops)

            last = tf.constant(2**62, tf.int64)
            return tf.data.Dataset.range(first, last).flat_map(one_epoch)

        # If this were not stated, each step would ask all processes whether
        # there is another batch.
        return _iterations(self._position, batches).apply(
            tf.data.experimental.assert_cardinality(
                tf.data.experimental.INFINITE_CARDINALITY
            )
        )

    def changed(
        self,
        *,
        crops: ViewCrops | None = None,
        first: int | None = None,
    ) -> Batches:
        """A copy that shares the position, with other crops or first step."""
        made = copy.copy(self)
        made._crops = self._crops if crops is None else crops
        made._first = self._first if first is None else first
        return made

    def with_one_crop(self) -> Batches:
        """The same batches with one crop of each photograph, for classifiers.

        Those of other images, and those that have one, are returned themselves.
        """
        cut = self.host_crops
        if cut is None or cut.views == 1 or self._one_crop is None:
            return self
        made = self._one_crop().changed(crops=self._crops, first=self._first)
        made._position = self._position
        return made

    def crops(self) -> tuple[random_crops.Crops, ...]:
        """All crops that are cut on the host, the probe's last."""
        cut = [each for each in (self.host_crops, self.probe_crops) if each]
        return sum((each.resolve(self._crops) for each in cut), ())

    def __iter__(self):
        return iter(self.open_ended())

    def __len__(self):
        return self.steps - self._first

    def __repr__(self):
        return (
            f"<Batches of simclr_keras.data: {len(self)} of the form"
            f" {self.element_spec}; as_dataset() gives the tf.data.Dataset>"
        )

    def __getattr__(self, name):
        if not name.startswith("_") and hasattr(tf.data.Dataset, name):
            raise AttributeError(
                f"`Batches` have no `{name}`, as they are no tf.data.Dataset;"
                f" use as_dataset().{name}. There `fit` can neither set the"
                " random crops of photographs (call with_crops before) nor"
                " resume in the middle of an epoch"
            )
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )


def _iterations(position, batches):
    """Dataset that iterates over `batches(epoch, step)` from the position."""
    # There is no Python control flow over tensors in the pipeline, and
    # AutoGraph's search for it would take most of the tracing time.
    batches = tf.autograph.experimental.do_not_convert(batches)
    # Nothing runs before the first batch is requested, because Keras 2 makes
    # the iterator before the callbacks' on_epoch_begin, Keras 3 after it.
    options = tf.data.Options()
    options.experimental_warm_start = False
    options.deterministic = True
    # Where processes share the batches of a whole dataset, as in validation,
    # each takes its rows of the batch, in the order of the replicas.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    dataset = tf.data.Dataset.range(1).map(lambda _: position.take())
    dataset = dataset.flat_map(batches)
    dataset = dataset.prefetch(tf.data.AUTOTUNE).with_options(options)
    return compat.untuned(dataset)
