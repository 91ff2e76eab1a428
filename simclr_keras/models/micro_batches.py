"""Whether and how a batch is cut into micro-batches."""

import tensorflow as tf

from simclr_keras import compat
from simclr_keras.distribute import replicas
from simclr_keras.models import batches

_NAME = "micro_batch_size"


def check_size(batch, micro, shared_by, name=_NAME):
    """Refuses a micro-batch that does not divide a batch.

    Args:
        batch: images in the global batch, a multiple of the number of
            replicas; or None where that is unknown.
        micro: images in a micro-batch over all replicas; None for no
            micro-batches.
        shared_by: number of replicas.
        name: what the micro-batch is called in the message.

    Raises:
        ValueError: the sizes do not fit.
    """
    if micro is None:
        return
    if not batch:
        raise ValueError(
            f"{name} needs a global batch of one size that is known before;"
            " make the data set with drop_remainder=True, or give batch_size"
            " with arrays. Received: data of unknown batch size"
        )
    if batch <= micro or (batch % micro == 0 and micro % shared_by == 0):
        return
    sizes = range(shared_by, batch + 1, shared_by)
    sizes = [size for size in sizes if batch % size == 0]
    nearest = [size for size in sizes if size < micro][-1:]
    nearest += [size for size in sizes if size > micro][:1]
    rule = f"must divide the global batch of {batch} images"
    if shared_by > 1:
        rule += f", and itself divide by the number of replicas, {shared_by}"
    raise ValueError(
        f"{name} {rule}: {' or '.join(map(str, nearest))} would. Received:"
        f" {micro} images"
    )


def check_fit(model, data):
    """Refuses data that a model's `fit` could not cut into micro-batches.

    Args:
        model: `SimCLR` whose `global_batch_size` is set.
        data: first argument of `fit`.

    Raises:
        ValueError: sizes do not fit, or the networks or the views draw random
            numbers that cannot be drawn twice.
    """
    micro, batch = model.micro_batch_size, model.global_batch_size
    check_size(batch, micro, model.distribute_strategy.num_replicas_in_sync)
    if micro is None or batch <= micro:
        return
    check_repeatable(model)
    rows = getattr(tf.nest.flatten(data)[0], "shape", None) or (None,)
    if rows[0] and rows[0] % batch:
        raise ValueError(
            f"{_NAME} needs batches of one size: with batch_size={batch} the"
            f" last of {rows[0]} images would make a smaller one. Leave out"
            f" {rows[0] % batch} images, or make a data set with"
            " drop_remainder=True"
        )


def check_repeatable(model):
    """Refuses what would not be the same in both passes.

    Raises:
        ValueError: a layer of the networks or of the views is to blame.
    """
    layers = compat.unrepeatable_layers(model.encoder, model.projection_head)
    if layers:
        raise ValueError(
            f"{_NAME} runs the networks twice, and on Keras 2.15 dropout and"
            " its like cannot draw the same numbers twice. Leave them out, or"
            " use Keras 3. Received:"
            f" {', '.join(sorted({layer.name for layer in layers}))}"
        )
    branches = [getattr(model.views, n, None) for n in ("first", "second")]
    foreign = [
        b.name for b in branches if b is not None and not is_repeatable(b)
    ]
    if foreign:
        raise ValueError(
            f"{_NAME} draws every view twice, so views must be a function of"
            " seed, step and position, as a View is without foreign layers in"
            f" branches and append. Received: {', '.join(foreign)}"
        )


def is_repeatable(branch):
    """Whether a branch of `TwoViews` draws the same at the same step."""
    return getattr(branch, "own", False)


def of_training(model, batch):
    """A batch to train on, and the number of its micro-batches.

    Args:
        model: `SimCLR`.
        batch: `Batch` of this replica.

    Returns:
        The batch, with a known number of rows where it is to be cut; and a
        Python integer, 1 for the plain step.

    Raises:
        ValueError: it cannot be cut.
    """
    micro = model.micro_batch_size
    if micro is None:
        return batch, 1
    here, rows = replicas.replica_context().count, batch.images.shape[0]
    size = rows * here if rows else getattr(model, "global_batch_size", None)
    check_size(size, micro, here)
    if size <= micro:
        return batch, 1
    check_repeatable(model)
    return batches.of_rows(batch, size // here), size // micro


def number_of(model, rows):
    """Fewest equal parts of this replica's rows that are small enough.

    Args:
        model: `SimCLR`.
        rows: rows of this replica, or None where that is unknown.

    Returns:
        Python integer; 1 for no micro-batches.
    """
    if model.micro_batch_size is None or not rows:
        return 1
    most = max(1, model.micro_batch_size // replicas.replica_context().count)
    fewest = -(-rows // most)
    return next(n for n in range(fewest, rows + 1) if rows % n == 0)
