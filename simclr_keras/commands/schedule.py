"""Trains a model: the optimizer, the number of steps, the call of `fit`."""

import math
import warnings

from simclr_keras import data
from simclr_keras import optimizers
from simclr_keras import training
from simclr_keras.commands import stages
from simclr_keras.models import micro_batches
from simclr_keras.training import timing

# Starting an epoch of `fit` costs as much as some steps, so that a small data
# set is gone through several times in one.
_LEAST_STEPS = 25


def optimizer(settings, num_examples):
    """The optimizer with its schedule, and (l2, l2_scope) for the model.

    As in the official code: LARS decays by itself and the supervised head is
    penalised in the loss; momentum and adam have the penalty in the loss.
    """
    peak = optimizers.scale_learning_rate(
        settings.learning_rate,
        settings.train_batch_size,
        settings.learning_rate_scaling,
    )
    with warnings.catch_warnings():
        # `check_steps` has said it, by the names of the flags.
        warnings.simplefilter("ignore", optimizers.CutWarmup)
        schedule = optimizers.WarmupCosine(
            peak,
            _warmup_steps(settings, num_examples),
            total_steps(settings, num_examples),
        )
    scope = optimizers.decay_in_loss(settings.optimizer)
    decay = settings.weight_decay
    made = optimizers.create_optimizer(
        settings.optimizer,
        schedule,
        weight_decay=0.0 if scope == "all" else decay,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
    )
    return made, 0.0 if scope == "none" else decay, scope


def _warmup_steps(settings, num_examples):
    return optimizers.warmup_steps(
        settings.warmup_epochs, num_examples, settings.train_batch_size
    )


def total_steps(settings, num_examples):
    """Training steps of `--train_steps` or else `--train_epochs`."""
    return optimizers.total_steps(
        settings.train_epochs,
        num_examples,
        settings.train_batch_size,
        settings.train_steps,
    )


def num_data_epochs(settings, num_examples):
    """Passes over the images in the whole training, perhaps a fraction."""
    steps = total_steps(settings, num_examples)
    return steps * settings.train_batch_size / num_examples


def data_epochs_per_fit_epoch(total, steps):
    """Passes over the data in one epoch of `fit`."""
    return -(-min(_LEAST_STEPS, total) // steps)


def group_short_epochs(settings, source, dataset):
    """Groups epochs of a small data set into longer epochs of `fit`."""
    total = total_steps(settings, source.num_examples)
    passes = data_epochs_per_fit_epoch(total, dataset.steps)
    if passes > 1:
        dataset = data.grouped(dataset, passes)
        print(
            f"The progress bar's epochs are rounds of {passes} epochs of the"
            " data each."
        )
    return dataset


def check(settings, runtime, num_examples):
    """Refuses flags of the training that do not suit, before long work.

    Args:
        settings: the command's.
        runtime: `Runtime`.
        num_examples: images that are trained on.

    Raises:
        ValueError: the batch, its micro-batches or the steps do not suit.
    """
    batch = settings.train_batch_size
    runtime.check_batch(batch)
    micro_batches.check_size(
        batch,
        getattr(settings, "micro_batch_size", None) or None,
        runtime.devices.replicas,
        "--micro_batch_size",
    )
    check_steps(settings, num_examples)


def check_steps(settings, num_examples):
    """Refuses flags that do not suit the steps of the run, or says so.

    Args:
        settings: the command's.
        num_examples: images that are trained on.
    """
    total = total_steps(settings, num_examples)
    steps = num_examples // settings.train_batch_size
    if not steps:
        return  # the batch is too large, which is said where it is made
    warmup = _warmup_steps(settings, num_examples)
    if warmup >= total:
        print(
            f"Warning: --warmup_epochs={settings.warmup_epochs:g} are {warmup}"
            f" steps, the run has {total}: the learning rate only rises, to"
            f" {(total - 1) / warmup:.0%} of its peak. Give a shorter warm-up."
        )
    last = total % (steps * data_epochs_per_fit_epoch(total, steps))
    several = settings.steps_per_execution
    if last % several:
        raise ValueError(
            f"--steps_per_execution must divide the {last} steps of the last"
            f" epoch: the run ends at step {total}. Received:"
            f" --steps_per_execution={several}"
        )
    profiled = settings.profile_steps
    if profiled is not None and profiled[1] > total:
        raise ValueError(
            f"--profile_steps must lie within the run's {total} steps."
            f" Received: --profile_steps={profiled[0]},{profiled[1]}"
        )


def fit(
    settings,
    runtime,
    run,
    model,
    source,
    dataset,
    callbacks=(),
    validation=None,
):
    """Trains a model for the steps of the run, or for those that are left.

    Args:
        settings: the command's.
        runtime: `Runtime`.
        run: `RunDirectory` that the training resumes from and writes to.
        model: compiled `keras.Model`.
        source: what is trained on.
        dataset: its batches, of `group_short_epochs`.
        callbacks: further ones, before those of the run directory.
        validation: further arguments of `model.fit`. Defaults to None.

    Returns:
        Dict for `timing.json`.
    """
    total = total_steps(settings, source.num_examples)
    print(stages.start_line(settings, runtime, source, total))
    timer = timing.Timing(settings.started, settings.train_batch_size)
    model.fit(
        dataset,
        epochs=math.ceil(total / dataset.steps),
        verbose=settings.verbose if runtime.devices.chief else 0,
        callbacks=[
            timing.StopAtStep(total, dataset.steps),
            timer,
            *callbacks,
            *_run_callbacks(settings, run, dataset.passes),
        ],
        **(validation or {}),
    )
    return timer.figures()


def _run_callbacks(settings, run, passes):
    """The callbacks that keep a run directory."""
    epochs = settings.checkpoint_epochs
    return training.callbacks(
        run.path,
        checkpoint_epochs=data_epochs_to_fit_epochs(epochs, passes)
        if epochs
        else 0,
        checkpoint_steps=settings.checkpoint_steps,
        checkpoint_minutes=settings.checkpoint_minutes,
        keep=settings.keep_checkpoint_max,
        log_every=settings.log_every,
        profile_steps=settings.profile_steps,
        change_learning_rate=settings.change_learning_rate,
    )


def data_epochs_to_fit_epochs(epochs, passes):
    """Converts a period in epochs of the data to one in epochs of `fit`."""
    return max(1, round(epochs / passes))
