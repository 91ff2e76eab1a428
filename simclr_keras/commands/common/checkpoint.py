"""Loads the model of `--checkpoint` for a command."""

import types

import simclr_keras as sk
from simclr_keras.commands.common import build
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import shared_flags


def load_and_set_channels(flags):
    """Loads the model of `--checkpoint`; sets `--channels` to its, if unset.

    Call it before the images are opened.

    Args:
        flags: the command's; `channels` is set if it is None and the images of
            the checkpoint were not converted to RGB.

    Returns:
        The model for `pretrained`; None for a file of weights, whose
        network the flags describe.

    Raises:
        ValueError: there is no such model, or it takes other channels than
            `--channels`.
    """
    from simclr_keras import networks

    if sk.serving.is_weights_file(flags.checkpoint):
        return None
    model = as_trained(flags)
    trained = networks.image_channels(model)
    if flags.channels is None:
        stated = _stated(flags.checkpoint)
        if stated or trained != 3:
            flags.channels = int(stated or trained)
    elif flags.channels != trained:
        raise ValueError(
            f"--channels must be left out, or be {trained}, as the images of"
            " --checkpoint have. Received:"
            f" --channels={flags.channels},"
            f" --checkpoint={flags.checkpoint}"
        )
    return model


def pretrained(flags, source=None, model=None):
    """The model of `--checkpoint`, with fresh weights for `--from_scratch`.

    Its networks compute in the precision of this command, not in that of their
    training; see `models.precision.rebuild` for layers of other packages.

    Args:
        flags: the command's.
        source: the images that the model will see, or None.
        model: what `load_and_set_channels` has returned. Defaults to None: it
            is loaded now.

    Returns:
        `keras.Model`, not compiled: a `SimCLR`, a `Classifier` or an encoder.
    """
    import keras

    from simclr_keras import compat
    from simclr_keras.models import precision

    model = model or as_trained(flags, source)
    keras.utils.set_random_seed(getattr(flags, "seed", 0))
    weights = not getattr(flags, "from_scratch", False)
    return precision.rebuild(model, compat.dtype_policy_name(), weights)


def as_trained(flags, source=None):
    """The model of `--checkpoint` with its weights, in its own precision."""
    given = {n: getattr(flags, n, None) for n in shared_flags.NETWORK}
    given = {name: text for name, text in given.items() if text is not None}
    network = None
    if sk.serving.is_weights_file(flags.checkpoint):
        network = _named_network(flags, source, given)
    model = sk.load(flags.checkpoint, network).model
    _check_network(flags, getattr(model, "encoder", model), given)
    return model


def trained_size(model):
    """Image size (pixels) that a loaded model was trained on, or None."""
    if isinstance(model, sk.SimCLR):
        return getattr(model.views, "size", (None,))[0]
    return getattr(model, "image_size", None)


def _stated(checkpoint):
    """`--channels` of the run of a checkpoint, or of the run it began with."""
    seen = set()
    while checkpoint and checkpoint not in seen:
        seen.add(checkpoint)
        run = sk.training.find_run(checkpoint)
        own = run.settings() if run else {}
        if own.get("channels"):
            return own["channels"]
        checkpoint = own.get("checkpoint")
    return None


def _named_network(flags, source, given):
    """The untrained network that the flags describe, for a file of weights."""
    if "encoder" not in given:
        raise ValueError(
            "--encoder must name the network of the weights, which they do not"
            " say themselves, and --resnet_depth and so on what it was made"
            f" with. Received: --checkpoint={flags.checkpoint} alone"
        )
    network = types.SimpleNamespace(**{**shared_flags.NETWORK, **given})
    size = input_data.image_size(flags, source)
    return build.encoder(network, size, getattr(flags, "channels", None) or 3)


def _check_network(flags, network, given):
    """Refuses network flags that contradict the encoder of `--checkpoint`."""
    there = _flags_of(network)
    for name, value in given.items():
        has = f"--{name}={there[name]}" if name in there else f"no --{name}"
        if name == "width_multiplier" and there.get("encoder") == "tiny":
            has = f"channels {network.channels}"
            same = tuple(build.tiny_channels(value)) == network.channels
        elif name == "global_bn" and not there:
            same = True  # the flag then concerns the projection head, if any
        else:
            same = value in (there.get(name), "auto")
        if not same:
            raise ValueError(
                f"--{name} must be left out, or be that of the encoder of"
                f" --checkpoint, {network.name}, which has {has}. Received:"
                f" --{name}={value}, --checkpoint={flags.checkpoint}"
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
