"""`--checkpoint` of a command -> the model that it goes on with."""

import types

import keras

from simclr_keras import compat
from simclr_keras import models
from simclr_keras import serving
from simclr_keras.commands import build
from simclr_keras.commands import input_data
from simclr_keras.commands import model_flags
from simclr_keras.models import precision


def pretrained(settings, source=None):
    """The model of `--checkpoint`, with fresh weights for `--from_scratch`.

    Its networks compute in the precision of this command, whatever theirs was;
    see `models.precision.rebuild` for layers that are not ours.

    Args:
        settings: the command's.
        source: the images that the model will see, or None.

    Returns:
        `keras.Model`, not compiled: a `SimCLR`, a `Classifier` or an encoder.
    """
    model = as_trained(settings, source)
    keras.utils.set_random_seed(getattr(settings, "seed", 0))
    weights = not getattr(settings, "from_scratch", False)
    return precision.rebuild(model, compat.dtype_policy_name(), weights)


def as_trained(settings, source=None):
    """The model of `--checkpoint` with its weights, in its own precision."""
    network = _network(settings, source)
    return serving.load(settings.checkpoint, network).model


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
