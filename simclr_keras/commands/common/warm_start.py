"""Gives a pre-training its networks: new ones, or those of `--checkpoint`.

A run that has written a checkpoint of its own has the networks of that, and
`fit` reads their weights from it: it goes on where the model that it began
with is no longer there.
"""

import dataclasses
from typing import Any

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import build
from simclr_keras.commands.common import flag_kinds
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common.flag_kinds import Group

# Name -> default of the flags that say which projection head.
_PROJECTION_HEAD = {
    "proj_head_mode": "nonlinear",
    "num_proj_layers": 3,
    "proj_out_dim": 128,
    "proj_hidden_dim": 0,
}
# From flags to the arguments of a `ProjectionHead`.
_ARGUMENTS = {
    "proj_head_mode": "mode",
    "num_proj_layers": "num_layers",
    "proj_out_dim": "out_dim",
    "proj_hidden_dim": "width",
    "global_bn": "global_bn",
}


def define_flags(values):
    """Defines the networks of a pre-training, and whose weights they have."""
    shared_flags.define_network(values)
    _define_projection_head(values)
    Group(values, "network").path(
        "checkpoint",
        None,
        "Trained model whose encoder this training begins with, and whose"
        " projection head where it has the shapes of this one. The networks"
        " are those of the model then, where their flags are not given."
        " Optimizer and steps begin anew. None: new weights. It is"
        f" {shared_flags.TRAINED_MODEL}",
    )
    given = (*shared_flags.NETWORK, *_PROJECTION_HEAD)
    flag_kinds.leave_to(values, "checkpoint", given)


def _define_projection_head(values):
    network = Group(values, "network")
    network.choice(
        "proj_head_mode",
        _PROJECTION_HEAD["proj_head_mode"],
        choices.PROJECTION_HEADS,
        "Projection head between h and the loss.",
    )
    network.integer(
        "num_proj_layers",
        _PROJECTION_HEAD["num_proj_layers"],
        "Layers of the nonlinear head.",
        least=1,
    )
    network.integer(
        "proj_out_dim",
        _PROJECTION_HEAD["proj_out_dim"],
        "Width of its output z; 0: that of h.",
        least=0,
    )
    network.integer(
        "proj_hidden_dim",
        _PROJECTION_HEAD["proj_hidden_dim"],
        "Width of its hidden layers; 0: that of h.",
        least=0,
    )


@dataclasses.dataclass(frozen=True)
class Start:
    """The networks that a pre-training begins with.

    Attributes:
        encoder: `keras.Model`.
        projection_head: layer, or None.
        image_size: pixels on which they were trained, or None.
        path: where they are from, a text.
        resumed: whether that is the run itself.
    """

    encoder: Any
    projection_head: Any
    image_size: Any
    path: str
    resumed: bool

    def copy_head_weights(self, projection_head):
        """Gives a built projection head the weights of this one, if they fit.

        Args:
            projection_head: `ProjectionHead` of the model that is trained.
        """
        if not self._missing_head_weights(projection_head):
            weights = self.projection_head.get_weights()
            projection_head.set_weights(weights)

    def describe(self, projection_head):
        """Whose weights the model that is trained begins with, in words.

        Args:
            projection_head: the model's.

        Returns:
            Text, or None where `fit` reads those of the run's checkpoint.
        """
        if self.resumed:
            return None
        missing = self._missing_head_weights(projection_head)
        if missing:
            return (
                f"the encoder of {self.path} and a new projection head: that"
                f" model has {missing}"
            )
        return f"the encoder and the projection head of {self.path}"

    def _missing_head_weights(self, projection_head):
        """Why no weights fit a projection head, in words; None: they do."""
        if not isinstance(self.projection_head, sk.ProjectionHead):
            return "none of this kind" if self.projection_head else "none"
        if _shapes(self.projection_head) != _shapes(projection_head):
            return "one of other shapes"
        return None


def _shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def load_start(settings, devices, source):
    """The networks of the run itself or of `--checkpoint`; None: new ones.

    Args:
        settings: the command's.
        devices: `distribute.strategy.Choice`; all processes call this.
        source: the images that are trained on.

    Returns:
        `Start`, or None without `--checkpoint`.

    Raises:
        ValueError: there is no model, or network flags name another one.
    """
    from simclr_keras.distribute import workers
    from simclr_keras.models import freezing
    from simclr_keras.training import model_loading

    if not settings.checkpoint:
        return None
    # The other processes need not see the run directory; they raise what the
    # chief does, or would wait for it.
    answer = _own_config(settings.model_dir) if devices.chief else None
    answer = workers.value_of_chief(devices.strategy, answer)
    if "error" in answer:
        raise ValueError(answer["error"])
    config = answer["config"]
    if config is None:
        model, path = build.pretrained(settings, source), settings.checkpoint
    else:
        path = settings.model_dir
        model = model_loading.untrained_model(config, path)
    encoder = getattr(model, "encoder", model)
    head = getattr(model, "projection_head", None)
    # A linear classifier's are frozen.
    freezing.freeze_parts(encoder, head, "none")
    size = build.trained_size(model)
    return Start(encoder, head, size, path, resumed=config is not None)


def _own_config(model_dir):
    """Dict of the `config` of a run's newest checkpoint, or of the `error`."""
    from simclr_keras.training import checkpointing

    run = sk.training.RunDirectory(model_dir)
    try:
        newest = checkpointing.newest_intact(run.checkpoints)
        config = newest and checkpointing.read_config(newest)
    except (ValueError, OSError) as error:
        return {"error": str(error)}
    return {"config": config}


def with_image_size(settings, images, start):
    """The images in the size of `--image_size`, else of the checkpoint.

    Args:
        settings: the command's.
        images: `input_data.PretrainingImages`.
        start: of `load_start`.

    Raises:
        ValueError: the encoder cannot encode images of this size.
    """
    from simclr_keras import networks

    if start is None:
        return images
    size = input_data.image_size(settings, images.trained, start.image_size)
    networks.check_encoder(start.encoder, (size, size))
    return dataclasses.replace(images, size=size)


def make_networks(settings, size, start):
    """Encoder and projection head of a pre-training.

    Args:
        settings: the command's.
        size: side of the images in pixels.
        start: of `load_start`.

    Returns:
        Pair of a `keras.Model`, with the weights of `start`, and of a
        `ProjectionHead`, which is not built: `Start.copy_head_weights` gives it
        weights once it is.
    """
    if start is None:
        encoder = build.encoder(settings, size)
        return encoder, _projection_head(settings, {}, encoder, size)
    from simclr_keras.models import fitting
    from simclr_keras.models import trained_model

    image = fitting.build_images(start.encoder, (size, size))
    encoder = trained_model.copy_model(start.encoder, image)
    known = {"global_bn": getattr(encoder, "global_bn", True)}
    if isinstance(start.projection_head, sk.ProjectionHead):
        known = start.projection_head.get_config()
    return encoder, _projection_head(settings, known, encoder, size)


def _projection_head(settings, known, encoder, size):
    """The head of the flags; what they leave open is as in a configuration."""
    arguments = {}
    for flag, name in _ARGUMENTS.items():
        value = getattr(settings, flag)
        if value is None:
            value = known.get(name, _PROJECTION_HEAD.get(flag))
        arguments[name] = value
    arguments["width"] = arguments["width"] or None
    if not arguments["out_dim"]:
        shape = getattr(encoder, "output_shape", None)
        if shape is None:  # of a subclass
            shape = encoder.compute_output_shape((None, size, size, 3))
        arguments["out_dim"] = shape[-1]
    return sk.ProjectionHead(**arguments)
