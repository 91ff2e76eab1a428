"""Refuses batches and steps that several replicas cannot run."""

from __future__ import annotations


def check_batch(
    batch: int | None, replicas: int, name: str = "the global batch"
) -> None:
    """Refuses a batch that the replicas cannot share evenly.

    Args:
        batch: images in the global batch, or None if that is unknown.
        replicas: number of replicas.
        name: what the batch is called in the message.

    Raises:
        ValueError: there are several replicas, and the batch does not divide
            by their number or is of unknown size.
    """
    if replicas == 1 or (batch and batch % replicas == 0):
        return
    if not batch:
        raise ValueError(
            f"{name} must have a fixed, known batch size, so that"
            f" {replicas} replicas share it evenly; make it with"
            " drop_remainder=True. Received: a data set of unknown batch size"
        )
    below = batch // replicas * replicas
    fitting = [str(size) for size in (below, below + replicas) if size]
    raise ValueError(
        f"{name} must be divisible by the number of replicas, {replicas}:"
        f" {' or '.join(fitting)} would. Received: {batch} images"
    )


def check_step(replicas: int, **arguments) -> None:
    """Refuses settings of a training step that several replicas cannot run.

    Args:
        replicas: number of replicas.
        **arguments: `steps_per_execution` and `jit_compile` under the names
            that the user knows.

    Raises:
        ValueError: there are several replicas, and more than one step at a
            time or XLA is asked for.
    """
    if replicas == 1:
        return
    for name, value in arguments.items():
        if value is True or value > 1:
            raise ValueError(
                f"{name} must be left at its default with several replicas:"
                " their step is run by TensorFlow one at a time, and not"
                f" compiled as a whole. Received: {name}={value}, {replicas}"
                " replicas"
            )


def part_of_batch(batch: int, count: int, replicas: int, name: str) -> int:
    """Largest divisor of the global batch that is at most `count` images.

    It divides the global batch, not that of a replica, so that it is the same
    on any number of replicas.

    Args:
        batch: images in the global batch.
        count: number of available images, at least 1.
        replicas: number of replicas.
        name: what the part is called in the message.

    Raises:
        ValueError: the replicas cannot share it evenly.
    """
    sizes = range(min(batch, count), 0, -1)
    part = next(size for size in sizes if batch % size == 0)
    check_batch(part, replicas, name)
    return part
