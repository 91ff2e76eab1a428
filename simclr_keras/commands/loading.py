"""`--checkpoint` of a command -> the model that it goes on with."""

import types

import keras

from simclr_keras import compat
from simclr_keras import models
from simclr_keras import serving
from simclr_keras.commands import build
from simclr_keras.commands import input_data
from simclr_keras.commands import model_flags
from simclr_keras.commands import required


def pretrained(settings, source=None):
    """The model of `--checkpoint`, with fresh weights for `--from_scratch`.

    Networks of ours compute in the precision of this command, whatever theirs
    was.

    Args:
        settings: the command's.
        source: the images that the model will see, or None.

    Returns:
        `keras.Model`, not compiled: a `SimCLR`, a `Classifier` or an encoder.
    """
    required.check(settings, "checkpoint")
    network = _network(settings, source)
    model = serving.load(settings.checkpoint, network).model
    keras.utils.set_random_seed(getattr(settings, "seed", 0))
    made = _anew(model)
    if not getattr(settings, "from_scratch", False):
        made.set_weights(model.get_weights())
    return made


def trained_size(model):
    """Image size (pixels) that a loaded model was trained on, or None."""
    if isinstance(model, models.SimCLR):
        return getattr(model.views, "size", (None,))[0]
    return getattr(model, "image_size", None)


def _network(settings, source):
    """The network that flags name for a file of weights; else None."""
    values = {n: getattr(settings, n, None) for n in model_flags.NETWORK}
    given = {n: value for n, value in values.items() if value is not None}
    if not serving.is_weights_file(settings.checkpoint):
        if given:
            raise ValueError(
                f"--{next(iter(given))} must be left out where --checkpoint is"
                " no file of weights (.weights.h5): it says its network itself."
                f" Received: --checkpoint={settings.checkpoint}"
            )
        return None
    if "encoder" not in given:
        raise ValueError(
            "--encoder must name the network of the weights, which they do not"
            " say themselves, and --resnet_depth and so on what it was made"
            f" with. Received: --checkpoint={settings.checkpoint} alone"
        )
    network = types.SimpleNamespace(**{**model_flags.NETWORK, **given})
    return build.encoder(network, input_data.image_size(settings, source))


def _anew(model):
    """A model of the same configuration, with fresh weights."""
    config = model.get_config()
    parts = [config.get("encoder"), config.get("projection_head")]
    parts = [part["config"] for part in parts if part] or [config]
    for arguments in parts:
        if isinstance(arguments.get("dtype"), str):
            arguments["dtype"] = compat.dtype_policy_name()
    return type(model).from_config(config)
