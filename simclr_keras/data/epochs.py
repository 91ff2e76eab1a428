"""One epoch's batches as a function of its number -> a dataset for `fit`."""

import tensorflow as tf

# All of a batch: part 0 of 1. Of n processes, number i reads part (i, n).
WHOLE = (0, 1)


def by_epoch(one_epoch, steps):
    """Makes a dataset whose every iteration is the next epoch.

    Args:
        one_epoch: function of (epoch, first step, part) that returns the
            `tf.data.Dataset` of that epoch's batches from that step on. Epoch
            and step are `int64` scalar tensors; the part is a pair (i, n) of
            integers: rows `i b / n` to `(i + 1) b / n` of each batch of b.
        steps: number of batches of an epoch.

    Returns:
        `tf.data.Dataset` of `steps` batches, with more attributes. `epoch`:
        `int64` `tf.Variable`, the number of the next epoch; read when the
        first batch of an iteration is drawn, and then advanced by one.
        `first_step`: the same for the step in that epoch to begin with, and
        then 0 again; the iteration ends with the epoch, after fewer batches.
        `one_epoch` and `steps`: the arguments. `unsized`: the same dataset
        without a known cardinality, which may be asked for more batches than
        are left of an epoch.
    """
    with tf.device("CPU:0"):
        epoch = tf.Variable(0, trainable=False, dtype=tf.int64, name="epoch")
        first_step = tf.Variable(0, trainable=False, dtype=tf.int64)
    return _build(one_epoch, steps, epoch, first_step, 0)


def _build(one_epoch, steps, epoch, first_step, skipped):
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

    def one_group(epoch, first_step, part):
        first, within = first_step // dataset.steps, first_step % dataset.steps

        def one_epoch(number):
            step = tf.where(number == first, within, 0)
            return dataset.one_epoch(epoch * count + number, step, part)

        return tf.data.Dataset.range(first, count).flat_map(one_epoch)

    return by_epoch(one_group, dataset.steps * count)


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
    rounds = -(-dataset.steps // labelled_dataset.steps)

    def one_epoch(epoch, first_step, part):
        skipped = first_step // labelled_dataset.steps
        within = first_step % labelled_dataset.steps

        def probe_round(number):
            first = tf.where(number == skipped, within, 0)
            epoch_number = epoch * rounds + number
            return labelled_dataset.one_epoch(epoch_number, first, part)

        numbers = tf.data.Dataset.range(skipped, rounds)
        batches = tf.data.Dataset.zip(
            (
                dataset.one_epoch(epoch, first_step, part),
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

    return by_epoch(one_epoch, dataset.steps)


def _require_epochs(name, dataset):
    if not hasattr(dataset, "one_epoch"):
        raise ValueError(
            f"`{name}` must be a dataset of `make_dataset` or `load` itself,"
            " not one derived from it, whose epochs are not known. Received:"
            f" {type(dataset).__name__}"
        )
