"""Settings of a command -> networks, views, optimizers, steps."""

import math
import warnings

from simclr_keras import data
from simclr_keras import networks
from simclr_keras import optimizers
from simclr_keras import views
from simclr_keras.commands import input_data
from simclr_keras.images.checks import SMALL_IMAGE

# Starting an epoch of `fit` costs as much as some steps.
_LEAST_STEPS = 25


def encoder(settings, size):
    """The network of `--encoder` and its like."""
    if settings.encoder == "tiny":
        width = settings.width_multiplier
        return networks.TinyResNet(
            [round(c * width) for c in (32, 64, 128)],
            global_bn=settings.global_bn,
        )
    small = size <= SMALL_IMAGE
    if settings.stem != "auto":
        small = settings.stem == "small"
    return networks.ResNet(
        int(settings.resnet_depth),
        width=settings.width_multiplier,
        sk_ratio=settings.sk_ratio,
        se_ratio=settings.se_ratio,
        small_images=small,
        global_bn=settings.global_bn,
    )


def view_arguments(settings, size):
    """Arguments of a `View` as the settings say."""
    strength = settings.color_jitter_strength
    blur = {None: None, True: 0.5, False: 0.0}[settings.use_blur]
    return {
        "image_size": size,
        "crop_area": (settings.crop_area_min, 1.0),
        "crop_sampler": settings.crop_sampler,
        "antialias": settings.antialias,
        "color_strength": strength,
        "jitter_probability": 0.8 if strength else 0.0,
        "grayscale_probability": 0.2 if strength else 0.0,
        "blur_probability": blur,
        "append": tuple(settings.append_views),
    }


def class_view(settings, size, source):
    """Augmentation of a classifier's training: crops, flips, colour if asked.

    Photographs are cropped on the host; the device only flips them then.
    """
    arguments = view_arguments(settings, size)
    if settings.use_blur is None:
        arguments["blur_probability"] = 0.0
    return views.View(crop=not input_data.cropped_on_host(source), **arguments)


def optimizer(settings, num_examples, total_steps):
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
            peak, _warmup_steps(settings, num_examples), total_steps
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
    per_epoch = num_examples // settings.train_batch_size
    return settings.train_steps or per_epoch * settings.train_epochs


def passes(settings, num_examples):
    """How often a training goes over its images, perhaps a fraction."""
    steps = total_steps(settings, num_examples)
    return steps * settings.train_batch_size / num_examples


def _passes(total, steps):
    """Epochs of the data that are one of `fit`."""
    return -(-min(_LEAST_STEPS, total) // steps)


def in_epochs(dataset, total):
    """(dataset, epochs, passes) for a `fit` of a number of steps.

    With few images an epoch of `fit` is several passes over them.
    """
    passes = _passes(total, dataset.steps)
    if passes > 1:
        dataset = data.grouped(dataset, passes)
        print(
            f"The progress bar's epochs are rounds of {passes} epochs of the"
            " data each; metrics.csv counts those of the data."
        )
    return dataset, math.ceil(total / dataset.steps), passes


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
    last = total % (steps * _passes(total, steps))
    several = settings.steps_per_execution
    if last % several:
        raise ValueError(
            f"--steps_per_execution must divide the {last} steps of the last"
            f" epoch, where --train_steps={total} ends the run. Received:"
            f" --steps_per_execution={several}"
        )
    profiled = settings.profile_steps
    if profiled is not None and profiled[1] > total:
        raise ValueError(
            f"--profile_steps must lie within the run's {total} steps."
            f" Received: --profile_steps={profiled[0]},{profiled[1]}"
        )


def every(epochs, passes):
    """A period in epochs of the data, in epochs of `fit`."""
    return max(1, round(epochs / passes))
