"""Makes networks, views, loss, optimizer and its schedule from the flags."""

import warnings

import simclr_keras as sk


def encoder(flags, size, channels=3):
    """The untrained encoder that `--encoder` and its like describe.

    Args:
        flags: the command's.
        size: side of the images in pixels.
        channels: number of channels of the images. Default 3.
    """
    if flags.encoder == "tiny":
        return sk.TinyResNet(
            tiny_channels(flags.width_multiplier),
            global_bn=flags.global_bn,
            input_channels=channels,
        )
    from simclr_keras.images.checks import SMALL_IMAGE

    small = size <= SMALL_IMAGE
    if flags.stem != "auto":
        small = flags.stem == "small"
    return sk.ResNet(
        int(flags.resnet_depth),
        width=flags.width_multiplier,
        sk_ratio=flags.sk_ratio,
        se_ratio=flags.se_ratio,
        small_images=small,
        global_bn=flags.global_bn,
        input_channels=channels,
    )


def view_arguments(flags, size, channels):
    """Arguments of a `View`, from the flags."""
    strength = flags.color_jitter_strength
    blur = {None: None, True: 0.5, False: 0.0}[flags.use_blur]
    return {
        "image_size": size,
        "crop_area": (flags.crop_area_min, 1.0),
        "crop_sampler": flags.crop_sampler,
        "antialias": flags.antialias,
        "color_strength": strength,
        "jitter_probability": 0.8 if strength else 0.0,
        "grayscale_probability": 0.2 if strength else 0.0,
        "blur_probability": blur,
        "append": tuple(flags.append_views),
        "channels": channels,
    }


def two_views(flags, size, channels):
    """The `TwoViews` of a pre-training; `size` is the side in pixels."""
    arguments = view_arguments(flags, size, channels)
    if not flags.flip:
        arguments["flip_probability"] = 0.0
    plain = {
        "crop": False,
        "flip_probability": 0.0,
        "jitter_probability": 0.0,
        "grayscale_probability": 0.0,
        "blur_probability": 0.0,
        "append": (),
    }
    return sk.TwoViews(
        seed=flags.seed,
        crop=flags.crop,
        second=plain if flags.augment_one else None,
        **arguments,
    )


def contrastive_loss(flags):
    """The loss of a pre-training."""
    return sk.contrastive.make_loss(
        flags.loss,
        temperature=flags.temperature,
        normalize=flags.hidden_norm,
        margin=flags.margin,
        semi_hard=flags.semi_hard,
    )


def total_steps(flags, num_examples):
    """Training steps by `--train_steps`, or if it is 0 by `--train_epochs`."""
    return sk.optimizers.total_steps(
        flags.train_epochs,
        num_examples,
        flags.train_batch_size,
        flags.train_steps,
    )


def num_epochs(flags, num_examples):
    """Passes over the images in the whole training, perhaps a fraction."""
    steps = total_steps(flags, num_examples)
    return steps * flags.train_batch_size / num_examples


def warmup_steps(flags, num_examples):
    """Steps of `--warmup_epochs`."""
    return sk.optimizers.warmup_steps(
        flags.warmup_epochs, num_examples, flags.train_batch_size
    )


def optimizer(flags, num_examples):
    """The optimizer with its schedule.

    Args:
        flags: the command's.
        num_examples: images that are trained on.

    Returns:
        Pair of the optimizer and of the arguments of the model for the weight
        decay that is a term of the loss.
    """
    peak = sk.scale_learning_rate(
        flags.learning_rate,
        flags.train_batch_size,
        flags.learning_rate_scaling,
    )
    with warnings.catch_warnings():
        # `training_checks` has warned already, with the names of the flags.
        warnings.simplefilter("ignore", sk.optimizers.CutWarmup)
        schedule = sk.WarmupCosine(
            peak,
            warmup_steps(flags, num_examples),
            total_steps(flags, num_examples),
        )
    decay, l2, l2_scope = sk.optimizers.split_weight_decay(
        flags.optimizer, flags.weight_decay
    )
    made = sk.optimizers.create_optimizer(
        flags.optimizer,
        schedule,
        weight_decay=decay,
        momentum=flags.momentum,
        nesterov=flags.nesterov,
        beta_1=flags.beta_1,
        beta_2=flags.beta_2,
    )
    return made, {"l2": l2, "l2_scope": l2_scope}


def compile_arguments(flags):
    """Arguments of `compile` for XLA and for steps per execution."""
    from simclr_keras.distribute import strategy

    jit = flags.jit == "on"
    if flags.jit == "auto":
        jit = strategy.gains_from_xla()
    return {
        "jit_compile": jit,
        "steps_per_execution": flags.steps_per_execution,
    }


def tiny_channels(width):
    """Channels of `--encoder=tiny`, multiplied by `--width_multiplier`."""
    return [round(channels * width) for channels in (32, 64, 128)]
