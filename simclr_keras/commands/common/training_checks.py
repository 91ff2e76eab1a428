"""Checks the flags of a training before any long work."""

import simclr_keras as sk
from simclr_keras.commands.common import build
from simclr_keras.commands.common import user_callbacks


def check(flags, devices, num_examples):
    """Checks the flags of the training before any long work.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`.
        num_examples: number of training images.

    Raises:
        ValueError: the batch, its micro-batches or the steps are not possible,
            or `--callbacks` names what does not exist.
    """
    from simclr_keras.distribute import limits
    from simclr_keras.models import micro_batches

    batch = flags.train_batch_size
    limits.check_batch(batch, devices.replicas, "--train_batch_size")
    micro_batches.check_size(
        batch,
        getattr(flags, "micro_batch_size", None) or None,
        devices.replicas,
        "--micro_batch_size",
    )
    check_steps(flags, num_examples)
    user_callbacks.check(flags.callbacks)


def check_service(flags, trains=True):
    """Refuses a `--data_service` that cannot be used.

    Args:
        flags: the command's.
        trains: whether the command trains by steps, which a service feeds.
            Default True.
    """
    address = flags.data_service
    if address is None:
        return
    sk.data.check_address(address)
    if not trains:
        raise ValueError(
            "--data_service must be left out where features are measured, of"
            f" each image once. Received: --data_service={address}"
        )
    if flags.cache not in ("auto", "none"):
        raise ValueError(
            "--cache must be auto or none with --data_service, whose workers"
            f" decode in every epoch. Received: --cache={flags.cache}"
            f" --data_service={address}"
        )


def check_enough_images(flags, num_examples):
    """Refuses a batch that is larger than the number of training images."""
    if flags.train_batch_size > num_examples:
        raise ValueError(
            f"--train_batch_size must be no larger than the {num_examples}"
            " training images. Received:"
            f" --train_batch_size={flags.train_batch_size}"
        )


def check_steps(flags, num_examples):
    """Refuses flags that contradict the run's steps; warns of a long warm-up.

    Args:
        flags: the command's.
        num_examples: number of training images.
    """
    check_enough_images(flags, num_examples)
    total = build.total_steps(flags, num_examples)
    steps = num_examples // flags.train_batch_size
    warmup = build.warmup_steps(flags, num_examples)
    if warmup >= total:
        print(
            f"Warning: --warmup_epochs={flags.warmup_epochs:g} are {warmup}"
            f" steps, the run has {total}: the learning rate only rises, to"
            f" {(total - 1) / warmup:.0%} of its peak. Give a shorter warm-up."
        )
    last = total % (steps * sk.data.epochs_per_fit_epoch(total, steps))
    several = flags.steps_per_execution
    if last % several:
        raise ValueError(
            f"--steps_per_execution must divide the {last} steps of the last"
            f" fit epoch: the run ends at step {total}. Received:"
            f" --steps_per_execution={several}"
        )
    profiled = flags.profile_steps
    if profiled is not None and profiled[1] > total:
        raise ValueError(
            f"--profile_steps must lie within the run's {total} steps."
            f" Received: --profile_steps={profiled[0]},{profiled[1]}"
        )
