"""Makes networks, views, loss, optimizer and its schedule from the flags."""

import types
import warnings

import simclr_keras as sk
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import shared_flags


def encoder(settings, size, channels=3):
    """The untrained encoder that `--encoder` and its like describe.

    Args:
        settings: the command's.
        size: side of the images in pixels.
        channels: number of channels of the images. Default 3.
    """
    if settings.encoder == "tiny":
        return sk.TinyResNet(
            _tiny_channels(settings.width_multiplier),
            global_bn=settings.global_bn,
            input_channels=channels,
        )
    from simclr_keras.images.checks import SMALL_IMAGE

    small = size <= SMALL_IMAGE
    if settings.stem != "auto":
        small = settings.stem == "small"
    return sk.ResNet(
        int(settings.resnet_depth),
        width=settings.width_multiplier,
        sk_ratio=settings.sk_ratio,
        se_ratio=settings.se_ratio,
        small_images=small,
        global_bn=settings.global_bn,
        input_channels=channels,
    )


def view_arguments(settings, size, channels):
    """Arguments of a `View`, from the settings."""
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
        "channels": channels,
    }


def two_views(settings, size, channels):
    """The `TwoViews` of a pre-training; `size` is the side in pixels."""
    arguments = view_arguments(settings, size, channels)
    if not settings.flip:
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
        seed=settings.seed,
        crop=settings.crop,
        second=plain if settings.augment_one else None,
        **arguments,
    )


def contrastive_loss(settings):
    """The loss of a pre-training."""
    return sk.contrastive.make_loss(
        settings.loss,
        temperature=settings.temperature,
        normalize=settings.hidden_norm,
        margin=settings.margin,
        semi_hard=settings.semi_hard,
    )


def total_steps(settings, num_examples):
    """Training steps by `--train_steps`, or if it is 0 by `--train_epochs`."""
    return sk.optimizers.total_steps(
        settings.train_epochs,
        num_examples,
        settings.train_batch_size,
        settings.train_steps,
    )


def num_epochs(settings, num_examples):
    """Passes over the images in the whole training, perhaps a fraction."""
    steps = total_steps(settings, num_examples)
    return steps * settings.train_batch_size / num_examples


def warmup_steps(settings, num_examples):
    """Steps of `--warmup_epochs`."""
    return sk.optimizers.warmup_steps(
        settings.warmup_epochs, num_examples, settings.train_batch_size
    )


def optimizer(settings, num_examples):
    """The optimizer with its schedule.

    Args:
        settings: the command's.
        num_examples: images that are trained on.

    Returns:
        Pair of the optimizer and of the arguments of the model for the weight
        decay that is a term of the loss.
    """
    peak = sk.scale_learning_rate(
        settings.learning_rate,
        settings.train_batch_size,
        settings.learning_rate_scaling,
    )
    with warnings.catch_warnings():
        # `training_checks` has warned already, with the names of the flags.
        warnings.simplefilter("ignore", sk.optimizers.CutWarmup)
        schedule = sk.WarmupCosine(
            peak,
            warmup_steps(settings, num_examples),
            total_steps(settings, num_examples),
        )
    decay, l2, l2_scope = sk.optimizers.split_weight_decay(
        settings.optimizer, settings.weight_decay
    )
    made = sk.optimizers.create_optimizer(
        settings.optimizer,
        schedule,
        weight_decay=decay,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
    )
    return made, {"l2": l2, "l2_scope": l2_scope}


def compile_arguments(settings):
    """Arguments of `compile` for XLA and for steps per execution."""
    from simclr_keras.distribute import strategy

    jit = settings.jit == "on"
    if settings.jit == "auto":
        jit = strategy.gains_from_xla()
    return {
        "jit_compile": jit,
        "steps_per_execution": settings.steps_per_execution,
    }


def pretrained(settings, source=None, model=None):
    """The model of `--checkpoint`, with fresh weights for `--from_scratch`.

    Its networks compute in the precision of this command, not in that of their
    training; see `models.precision.rebuild` for layers of other packages.

    Args:
        settings: the command's.
        source: the images that the model will see, or None.
        model: result of `as_trained`, if it was called already.

    Returns:
        `keras.Model`, not compiled: a `SimCLR`, a `Classifier` or an encoder.
    """
    import keras

    from simclr_keras import compat
    from simclr_keras.models import precision

    model = model or as_trained(settings, source)
    keras.utils.set_random_seed(getattr(settings, "seed", 0))
    weights = not getattr(settings, "from_scratch", False)
    return precision.rebuild(model, compat.dtype_policy_name(), weights)


def as_trained(settings, source=None):
    """The model of `--checkpoint` with its weights, in its own precision."""
    given = {n: getattr(settings, n, None) for n in shared_flags.NETWORK}
    given = {name: text for name, text in given.items() if text is not None}
    network = None
    if sk.serving.is_weights_file(settings.checkpoint):
        network = _named_network(settings, source, given)
    model = sk.load(settings.checkpoint, network).model
    _check_network(settings, getattr(model, "encoder", model), given)
    return model


def trained_size(model):
    """Image size (pixels) that a loaded model was trained on, or None."""
    if isinstance(model, sk.SimCLR):
        return getattr(model.views, "size", (None,))[0]
    return getattr(model, "image_size", None)


def _named_network(settings, source, given):
    """The untrained network that the flags describe, for a file of weights."""
    if "encoder" not in given:
        raise ValueError(
            "--encoder must name the network of the weights, which they do not"
            " say themselves, and --resnet_depth and so on what it was made"
            f" with. Received: --checkpoint={settings.checkpoint} alone"
        )
    network = types.SimpleNamespace(**{**shared_flags.NETWORK, **given})
    size = input_data.image_size(settings, source)
    return encoder(network, size, getattr(settings, "channels", None) or 3)


def _check_network(settings, network, given):
    """Refuses network flags that contradict the encoder of `--checkpoint`."""
    there = _flags_of(network)
    for name, value in given.items():
        has = f"--{name}={there[name]}" if name in there else f"no --{name}"
        if name == "width_multiplier" and there.get("encoder") == "tiny":
            has = f"channels {network.channels}"
            same = tuple(_tiny_channels(value)) == network.channels
        elif name == "global_bn" and not there:
            same = True  # the flag then concerns the projection head, if any
        else:
            same = value in (there.get(name), "auto")
        if not same:
            raise ValueError(
                f"--{name} must be left out, or be that of the encoder of"
                f" --checkpoint, {network.name}, which has {has}. Received:"
                f" --{name}={value}, --checkpoint={settings.checkpoint}"
            )


def _flags_of(network):
    """Values of the flags that describe an encoder; {} if it is not ours."""
    if isinstance(network, sk.TinyResNet):
        return {"encoder": "tiny", "global_bn": network.global_bn}
    if not isinstance(network, sk.ResNet):
        return {}
    return {
        "encoder": "resnet",
        "resnet_depth": str(network.depth),
        "width_multiplier": network.width,
        "sk_ratio": network.sk_ratio,
        "se_ratio": network.se_ratio,
        "global_bn": network.global_bn,
        "stem": "small" if network.small_images else "imagenet",
    }


def _tiny_channels(width):
    return [round(channels * width) for channels in (32, 64, 128)]
