"""Gives `fit` the batches of a data set, epoch after epoch.

An epoch is one pass over the images. Its batches are a pure function of its
number; what is drawn next is all that `Batches` keeps, so a training can go on
anywhere.
"""

import dataclasses
import functools

import tensorflow as tf

from simclr_keras.images import geometry

# All of a batch: part 0 of 1. Of n processes, number i reads part (i, n).
WHOLE = (0, 1)
# Of a model whose views do not state how they crop.
UNSTATED = (None, None)


@dataclasses.dataclass(frozen=True)
class HostCrops:
    """Random crops that a data set cuts on the host.

    Attributes:
        stated: dict of what the maker of the data set has stated of them, by
            the names of `make_dataset`: `crop_area`, `crop_aspect`,
            `crop_sampler`, `antialias`.
        views: crops of each image: 1, or 2 for ready views `[B, 2, h, w, 3]`.
    """

    stated: dict
    views: int

    def resolve(self, crops):
        """`geometry.Crops` of each view, a tuple.

        Args:
            crops: pair of `geometry.Crops` that a model's views state, None
                for a view that states none.

        Raises:
            ValueError: views and data set state different crops.
        """
        values = {k.replace("crop_", ""): v for k, v in self.stated.items()}
        default = geometry.Crops(**values)
        resolved = [each or default for each in crops[: self.views]]
        for each in resolved:
            _check_agreement(self.stated, each)
        return tuple(resolved)


def _check_agreement(stated, crops):
    """Refuses crops that differ from what was stated for the data set."""
    for name, value in stated.items():
        other = getattr(crops, name.replace("crop_", ""))
        value = tuple(value) if isinstance(value, (list, tuple)) else value
        if value != other:
            raise ValueError(
                f"`{name}` must be stated once, by the views of the model;"
                " leave it out of the data set, or state the same. Received:"
                f" {name}={value!r} of the data set, {name}={other!r} of the"
                " views"
            )


class Position:
    """The epoch and the step in it that are drawn next.

    Variables, as the pipeline reads and advances them while it runs.
    """

    def __init__(self):
        with tf.init_scope(), tf.device("CPU:0"):
            self.epoch = tf.Variable(0, trainable=False, dtype=tf.int64)
            self.step = tf.Variable(0, trainable=False, dtype=tf.int64)

    def take(self):
        """`(epoch, step)`; the next iteration has the epoch after it."""
        step = tf.identity(self.step)
        with tf.control_dependencies([step]):
            reset = self.step.assign(0, read_value=False)
        with tf.control_dependencies([reset]):
            return self.epoch.assign_add(1, read_value=True) - 1, step


class Batches:
    """The batches of a data set: each iteration is its next epoch.

    Made by `load` and `make_dataset`. Every model of `simclr_keras` takes it
    in `fit` (also as `validation_data`), `evaluate` and `predict`, and so does
    all of `simclr_keras.evaluation`. `fit` sees to it that photographs are
    cropped as the views of the model state, that each epoch has the order of
    its number, and that a training can go on in the middle of one.

    It is no `tf.data.Dataset`; `as_dataset()` is one, for models of others and
    for `take`, `map` and the like. What is made of that has lost the above:
    see there.

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
        passes: epochs of the data that are one iteration. Defaults to 1.

    Attributes:
        steps: batches of an iteration from its beginning.
        element_spec: see above.
        host_crops: see above.
        probe_crops: see above.
        passes: see above.
    """

    def __init__(
        self,
        one_epoch,
        steps,
        element_spec,
        *,
        host_crops=None,
        probe_crops=None,
        passes=1,
    ):
        self.one_epoch = one_epoch
        self.steps = steps
        self.element_spec = element_spec
        self.host_crops = host_crops
        self.probe_crops = probe_crops
        self.passes = passes
        self._crops = UNSTATED
        self._first = 0
        self._position = Position()
        self._built = None

    @property
    def epoch(self):
        """Number of the epoch that the next iteration draws, from 0."""
        return int(self._position.epoch.numpy())

    def seek(self, epoch, step=0):
        """Lets the next iteration begin at a step of an epoch.

        It ends with that epoch; the iteration after it begins the next one.
        An iterator that exists already, but has drawn nothing, follows too.
        """
        self._position.epoch.assign(epoch)
        self._position.step.assign(step)

    def as_dataset(self):
        """The same batches as a `tf.data.Dataset`, which shares the position.

        It is built at the first call, and the same one from then on. Its
        photographs are cropped as `with_crops` has said, or else as the data
        set was told to, or by default: `fit` cannot change that any more.
        """
        return self.open_ended().apply(
            tf.data.experimental.assert_cardinality(len(self))
        )

    def open_ended(self):
        """`as_dataset` that does not say its length.

        TensorFlow refuses an iteration that begins in the middle of an epoch
        where the length is said.
        """
        if self._built is None:
            with tf.init_scope():
                self._built = _iterations(self._position, self._from)
        return self._built

    def _from(self, epoch, step):
        return self.one_epoch(epoch, step + self._first, WHOLE, self._crops)

    def endless(self, part):
        """One process's part of all batches, epoch after epoch.

        Nothing else is read or decoded.

        Args:
            part: pair of integers (i, n): rows `i b / n` to `(i + 1) b / n` of
                each batch of b, which n divides.

        Returns:
            `tf.data.Dataset` that never ends and shares the position.
        """

        def batches(first, step):
            def one_epoch(number):
                begin = tf.where(number == first, step, 0)
                return self.one_epoch(number, begin, part, self._crops)

            last = tf.constant(2**62, tf.int64)
            return tf.data.Dataset.range(first, last).flat_map(one_epoch)

        # Said, or each step would ask all processes whether there is another.
        return _iterations(self._position, batches).apply(
            tf.data.experimental.assert_cardinality(
                tf.data.experimental.INFINITE_CARDINALITY
            )
        )

    def changed(self, *, crops=None, first=None):
        """A copy that shares the position, with other crops or first step."""
        copy = object.__new__(type(self))
        vars(copy).update(vars(self), _built=None)
        copy._crops = self._crops if crops is None else crops
        copy._first = self._first if first is None else first
        return copy

    def crops(self):
        """`geometry.Crops` that are cut on the host, one tuple for all."""
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
                f"batches have no `{name}`, as they are no tf.data.Dataset:"
                f" as_dataset().{name} is that of one. There `fit` can change"
                " neither the random crops of photographs (with_crops sets"
                " them before) nor the place where a training goes on"
            )
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )


def _iterations(position, batches):
    """Dataset of `batches(epoch, step)`, of the position at each iteration."""
    # There is no Python control flow over tensors in the pipeline, and
    # AutoGraph's search for it would take most of the tracing time.
    batches = tf.autograph.experimental.do_not_convert(batches)
    # Nothing runs before the first batch is asked for: Keras 2 makes the
    # iterator before, Keras 3 after the callbacks' on_epoch_begin.
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
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def as_dataset(data):
    """`Batches` as a `tf.data.Dataset`; anything else as it is."""
    return data.as_dataset() if isinstance(data, Batches) else data


def with_crops(dataset, crops):
    """The same batches, with the random crops that a model's views state.

    `fit` does this by itself.

    Args:
        dataset: `Batches`. Only photographs that are cropped at random on the
            host are changed; anything but `Batches` is returned as it is.
        crops: pair of `geometry.Crops`, of the first and the second view;
            None for a view that does not state its crops, which then are
            those of the data set.

    Returns:
        The batches themselves where the crops are those already; else others
        that share their position.

    Raises:
        ValueError: the maker of the data set has stated others.
    """
    if not isinstance(dataset, Batches):
        return dataset
    changed = dataset.changed(crops=tuple(crops))
    return dataset if changed.crops() == dataset.crops() else changed


def from_step(dataset, step):
    """Returns the rest of an epoch.

    What lies before is skipped without decoding an image.

    Args:
        dataset: `Batches`.
        step: the step to begin with, from 0.

    Returns:
        `Batches` from `step` on of whatever epoch is the next; they share the
        position.

    Raises:
        ValueError: these are no `Batches`, or have no such step.
    """
    _require_batches("dataset", dataset)
    if not 0 <= step < dataset.steps:
        raise ValueError(
            f"`step` must be in [0, {dataset.steps}), the steps of an epoch."
            f" Received: step={step!r}"
        )
    return dataset.changed(first=step)


def grouped(dataset, count):
    """Makes every iteration `count` epochs in a row.

    For few images: starting an epoch of `fit` costs more than its steps then.

    Args:
        dataset: `Batches`.
        count: epochs of the data that become one of `fit`, at least 1.

    Returns:
        `Batches` of the epochs `count * n` to `count * n + count - 1` in
        iteration n.

    Raises:
        ValueError: these are no `Batches`, or `count` is below 1.
    """
    _require_batches("dataset", dataset)
    if count < 1:
        raise ValueError(f"`count` must be at least 1. Received: {count!r}")
    steps = dataset.steps

    def group(number, first_step, part, crops):
        first, within = first_step // steps, first_step % steps

        def one_of_them(place):
            step = tf.where(place == first, within, 0)
            epoch = number * count + place
            return dataset.one_epoch(epoch, step, part, crops)

        return tf.data.Dataset.range(first, count).flat_map(one_of_them)

    made = Batches(
        group,
        steps * count,
        dataset.element_spec,
        host_crops=dataset.host_crops,
        probe_crops=dataset.probe_crops,
        passes=dataset.passes * count,
    )
    return made.changed(crops=dataset._crops)


def with_probe(dataset, labelled_dataset):
    """Adds labelled batches for an online probe to unlabelled dataset.

    Args:
        dataset: unlabelled `Batches`; they set the epochs.
        labelled_dataset: labelled `Batches`; they start anew, in a new order,
            as often as an epoch needs it.

    Returns:
        `Batches` of dictionaries `"images"`, `"probe_images"`,
        `"probe_labels"`.

    Raises:
        ValueError: something else is given, or batches with labels where there
            must be none, or without where there must be some.
    """
    _require_batches("dataset", dataset)
    _require_batches("labelled_dataset", labelled_dataset)
    if isinstance(dataset.element_spec, tuple):
        raise ValueError(
            "`dataset` must yield images without labels; the probe's come"
            f" from `labelled_dataset`. Received: {dataset.element_spec}"
        )
    if not isinstance(labelled_dataset.element_spec, tuple):
        raise ValueError(
            "`labelled_dataset` must yield (images, labels); make it with"
            f" labelled=True. Received: {labelled_dataset.element_spec}"
        )
    return Batches(
        functools.partial(_beside, dataset, labelled_dataset),
        dataset.steps,
        _named(dataset.element_spec, labelled_dataset.element_spec),
        host_crops=dataset.host_crops,
        probe_crops=labelled_dataset.host_crops,
    )


def _named(images, probe):
    return {
        "images": images,
        "probe_images": probe[0],
        "probe_labels": probe[1],
    }


def _beside(batches, labelled, epoch, first_step, part, crops):
    """`one_epoch` of `with_probe`."""
    rounds = -(-batches.steps // labelled.steps)
    skipped = first_step // labelled.steps
    within = first_step % labelled.steps

    def one_round(number):
        first = tf.where(number == skipped, within, 0)
        return labelled.one_epoch(epoch * rounds + number, first, part, crops)

    probe = tf.data.Dataset.range(skipped, rounds).flat_map(one_round)
    images = batches.one_epoch(epoch, first_step, part, crops)
    return tf.data.Dataset.zip((images, probe)).map(_named)


def _require_batches(name, batches):
    if not isinstance(batches, Batches):
        raise ValueError(
            f"`{name}` must be what `make_dataset` or `load` returns, not a"
            " tf.data.Dataset made from it, whose epochs are not known."
            f" Received: {type(batches).__name__}"
        )
