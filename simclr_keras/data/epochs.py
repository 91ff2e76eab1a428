"""One epoch's batches as a function of its number -> a dataset for `fit`."""

import dataclasses
import functools

import tensorflow as tf

# All of a batch: part 0 of 1. Of n processes, number i reads part (i, n).
WHOLE = (0, 1)


def by_epoch(one_epoch, steps, cut=None):
    """Makes a dataset whose every iteration is the next epoch.

    Args:
        one_epoch: function of (epoch, first step, part) that returns the
            `tf.data.Dataset` of that epoch's batches from that step on. Epoch
            and step are `int64` scalar tensors; the part is a pair (i, n) of
            integers: rows `i b / n` to `(i + 1) b / n` of each batch of b.
        steps: number of batches of an epoch.
        cut: `HostCrops` where crops are cut on the host. Default None.

    Returns:
        `tf.data.Dataset` of `steps` batches, with more attributes. `epoch`:
        `int64` `tf.Variable`, the number of the next epoch; read when the
        first batch of an iteration is drawn, and then advanced by one.
        `first_step`: the same for the step in that epoch to begin with, and
        then 0 again; the iteration ends with the epoch, after fewer batches.
        `one_epoch`, `steps` and `cut`: the arguments. `unsized`: the same
        dataset without a known cardinality, which may be asked for more
        batches than are left of an epoch.
    """
    with tf.device("CPU:0"):
        epoch = tf.Variable(0, trainable=False, dtype=tf.int64, name="epoch")
        first_step = tf.Variable(0, trainable=False, dtype=tf.int64)
    return _build(one_epoch, steps, epoch, first_step, 0, cut)


@dataclasses.dataclass(frozen=True)
class HostCrops:
    """Random crops that a dataset cuts on the host.

    Attributes:
        crops: tuple of all `geometry.Crops`.
        views: crops of each image: 1, or 2 for ready views `[B, 2, h, w, 3]`;
            None where only a probe's images are cut.
        recut: function of the pair of crops that `with_crops` takes. Returns
            the `one_epoch` with them and its `HostCrops`.
    """

    crops: tuple
    views: object
    recut: object


def _joined(parts, wrap):
    """`HostCrops` of a dataset made of others, or None.

    Args:
        parts: list of pairs (`one_epoch`, `HostCrops` or None).
        wrap: function of their `one_epoch`s that gives the dataset's.
    """
    cuts = [cut for _, cut in parts if cut is not None]
    if not cuts:
        return None

    def recut(crops):
        made = [
            (one_epoch, None) if cut is None else cut.recut(crops)
            for one_epoch, cut in parts
        ]
        return wrap(*(one_epoch for one_epoch, _ in made)), _joined(made, wrap)

    first = parts[0][1]
    return HostCrops(
        sum((cut.crops for cut in cuts), ()), first and first.views, recut
    )


def with_crops(dataset, crops):
    """The same dataset, with the random crops that a model's views state.

    Args:
        dataset: any; only one of `make_dataset`, or made from such, of
            photographs that are cropped at random on the host is changed.
        crops: pair of `geometry.Crops`, of the first and the second view;
            None for a view that does not state its crops, which then are
            those of the dataset.

    Returns:
        The dataset itself where the crops are those already; else a new one
        that shares its `epoch` and `first_step`.

    Raises:
        ValueError: the dataset's maker has stated others.
    """
    cut = getattr(dataset, "cut", None)
    if cut is None:
        return dataset
    one_epoch, made = cut.recut(crops)
    if made.crops == cut.crops:
        return dataset
    return _build(
        one_epoch,
        dataset.steps,
        dataset.epoch,
        dataset.first_step,
        dataset.skipped,
        made,
    )


def _build(one_epoch, steps, epoch, first_step, skipped, cut):
    def batches(number, step):
        return one_epoch(number, step + skipped, WHOLE)

    unsized = _from_start(epoch, first_step, batches)
    dataset = unsized.apply(
        tf.data.experimental.assert_cardinality(steps - skipped)
    )
    dataset.unsized = unsized
    dataset.epoch = epoch
    dataset.first_step = first_step
    dataset.one_epoch = one_epoch
    dataset.steps = steps
    dataset.skipped = skipped
    dataset.cut = cut
    return dataset


def _from_start(epoch, first_step, batches):
    """Dataset of `batches(epoch, step)`, read off the variables each time."""

    def take_start(_):
        step = tf.identity(first_step)
        with tf.control_dependencies([step]):
            reset = first_step.assign(0, read_value=False)
        with tf.control_dependencies([reset]):
            return epoch.assign_add(1, read_value=True) - 1, step

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
    dataset = tf.data.Dataset.range(1).map(take_start).flat_map(batches)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def endless(dataset, part):
    """One process's part of all batches, epoch after epoch.

    It makes and decodes nothing else.

    Args:
        dataset: a dataset of `make_dataset` for training, or of `grouped` or
            `with_probe` ones; its batches divide by the number of parts.
        part: pair of integers (i, n): rows `i b / n` to `(i + 1) b / n` of
            each batch of b.

    Returns:
        `tf.data.Dataset` that never ends. An iteration begins where `epoch`
        and `first_step` of the given dataset say, which it shares.

    Raises:
        ValueError: the dataset is another.
    """
    _require_epochs("dataset", dataset)

    def batches(first, step):
        def one_epoch(number):
            begin = tf.where(number == first, step, 0)
            return dataset.one_epoch(number, begin, part)

        last = tf.constant(2**62, tf.int64)
        return tf.data.Dataset.range(first, last).flat_map(one_epoch)

    # Said, or each step would ask all processes whether there is another.
    return _from_start(dataset.epoch, dataset.first_step, batches).apply(
        tf.data.experimental.assert_cardinality(
            tf.data.experimental.INFINITE_CARDINALITY
        )
    )


def from_step(dataset, step):
    """Returns the rest of an epoch.

    What lies before is skipped without decoding an image.

    Args:
        dataset: a dataset of `make_dataset` or `with_probe`.
        step: the step to begin with, from 0.

    Returns:
        `tf.data.Dataset` of the batches from `step` on of the epoch whose
        number `dataset.epoch` holds; it shares that variable.

    Raises:
        ValueError: the dataset is another, or has no such step.
    """
    _require_epochs("dataset", dataset)
    if not 0 <= step < dataset.steps:
        raise ValueError(
            f"`step` must be in [0, {dataset.steps}), the steps of an epoch."
            f" Received: step={step!r}"
        )
    return _build(
        dataset.one_epoch,
        dataset.steps,
        dataset.epoch,
        dataset.first_step,
        step,
        dataset.cut,
    )


def grouped(dataset, count):
    """Makes a dataset whose every iteration is `count` epochs in a row.

    For few images: starting an epoch costs more than its steps then.

    Args:
        dataset: a dataset of `make_dataset`.
        count: epochs that become one, at least 1.

    Returns:
        `tf.data.Dataset` as `by_epoch` makes it, with the batches of the
        epochs `count * epoch` to `count * epoch + count - 1`.

    Raises:
        ValueError: the dataset is another, or `count` below 1.
    """
    _require_epochs("dataset", dataset)
    if count < 1:
        raise ValueError(f"`count` must be at least 1. Received: {count!r}")

    steps = dataset.steps

    def group(one_epoch):
        def one_group(epoch, first_step, part):
            first, within = first_step // steps, first_step % steps

            def one_of_them(number):
                step = tf.where(number == first, within, 0)
                return one_epoch(epoch * count + number, step, part)

            return tf.data.Dataset.range(first, count).flat_map(one_of_them)

        return one_group

    cut = _joined([(dataset.one_epoch, dataset.cut)], group)
    return by_epoch(group(dataset.one_epoch), steps * count, cut)


def with_probe(dataset, labelled_dataset):
    """Adds labelled batches for an online probe to unlabelled batches.

    Args:
        dataset: unlabelled dataset of `make_dataset`; sets the epochs.
        labelled_dataset: labelled dataset of `make_dataset`; it starts anew,
            in a new order, as often as an epoch needs it.

    Returns:
        `tf.data.Dataset` as `by_epoch` makes it, of dictionaries `"images"`,
        `"probe_images"`, `"probe_labels"`.

    Raises:
        ValueError: a dataset is not one of `make_dataset`, or is labelled
            where it must not be, or unlabelled where it must be labelled.
    """
    _require_epochs("dataset", dataset)
    _require_epochs("labelled_dataset", labelled_dataset)
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
    sets = dataset, labelled_dataset
    wrap = functools.partial(_beside, [each.steps for each in sets])
    cut = _joined([(each.one_epoch, each.cut) for each in sets], wrap)
    one_epoch = wrap(*(each.one_epoch for each in sets))
    return by_epoch(one_epoch, dataset.steps, cut)


def _beside(steps, images_epoch, probe_epoch):
    """`one_epoch` of `with_probe`, of the steps and `one_epoch`s of both."""
    probe_steps = steps[1]
    rounds = -(-steps[0] // probe_steps)

    def one_epoch(epoch, first_step, part):
        skipped = first_step // probe_steps
        within = first_step % probe_steps

        def probe_round(number):
            first = tf.where(number == skipped, within, 0)
            return probe_epoch(epoch * rounds + number, first, part)

        numbers = tf.data.Dataset.range(skipped, rounds)
        batches = tf.data.Dataset.zip(
            (
                images_epoch(epoch, first_step, part),
                numbers.flat_map(probe_round),
            )
        )
        return batches.map(
            lambda images, probe: {
                "images": images,
                "probe_images": probe[0],
                "probe_labels": probe[1],
            }
        )

    return one_epoch


def _require_epochs(name, dataset):
    if not hasattr(dataset, "one_epoch"):
        raise ValueError(
            f"`{name}` must be a dataset of `make_dataset` or `load` itself,"
            " not one derived from it, whose epochs are not known. Received:"
            f" {type(dataset).__name__}"
        )
