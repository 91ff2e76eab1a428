"""Gives a pre-training its networks: new ones, or those of `--checkpoint`.

A run that has written a checkpoint has the networks of this checkpoint, and
`fit` restores their weights from it. So it can be resumed when the model of
`--checkpoint` no longer exists.
"""

import dataclasses
from typing import Any

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import build
from simclr_keras.commands.common import checkpoint
from simclr_keras.commands.common import flag_kinds
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common.flag_kinds import Group

# Name -> default of the flags that describe the projection head.
_PROJECTION_HEAD = {
    "proj_head_mode": "nonlinear",
    "num_proj_layers": 3,
    "proj_out_dim": 128,
    "proj_hidden_dim": 0,
}
# Flag -> argument of `ProjectionHead`.
_ARGUMENTS = {
    "proj_head_mode": "mode",
    "num_proj_layers": "num_layers",
    "proj_out_dim": "out_dim",
    "proj_hidden_dim": "width",
    "global_bn": "global_bn",
}


def define_flags(values):
    """Defines the flags of a pre-training's networks and initial weights."""
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
        path: text, the path that they were loaded from.
        resumed: whether this is the directory of the run itself.
        channels: number of channels of the images to train on. If the encoder
            takes another number, its first kernel is converted.
    """

    encoder: Any
    projection_head: Any
    image_size: Any
    path: str
    resumed: bool
    channels: int

    @property
    def encoder_channels(self):
        """Number of channels that the loaded encoder takes."""
        from simclr_keras import networks

        return networks.image_channels(self.encoder)

    def copy_head_weights(self, projection_head):
        """Copies the weights to a built projection head, if their shapes fit.

        Args:
            projection_head: `ProjectionHead` of the model to train.
        """
        if not self._missing_head_weights(projection_head):
            weights = self.projection_head.get_weights()
            projection_head.set_weights(weights)

    def describe(self, projection_head):
        """Says where the initial weights of the model to train come from.

        Args:
            projection_head: `ProjectionHead` of this model.

        Returns:
            Text, or None if `fit` restores the run's own checkpoint.
        """
        if self.resumed:
            return None
        missing = self._missing_head_weights(projection_head)
        text = f"the encoder and the projection head of {self.path}"
        if missing:
            text = (
                f"the encoder of {self.path} and a new projection head: that"
                f" model has {missing}"
            )
        if self.encoder_channels != self.channels:
            text += (
                "; the first kernel of the encoder was converted from"
                f" {self.encoder_channels} to {self.channels} channels"
            )
        return text

    def _missing_head_weights(self, projection_head):
        """Text on the head that this model has; None if its weights fit."""
        if not isinstance(self.projection_head, sk.ProjectionHead):
            return "none of this kind" if self.projection_head else "none"
        if _shapes(self.projection_head) != _shapes(projection_head):
            return "one of other shapes"
        return None


def _shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def load_start(flags, devices, source):
    """Loads the networks of the run's own checkpoint or of `--checkpoint`.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`; all processes call this.
        source: training images.

    Returns:
        `Start`, or None without `--checkpoint`: the networks are new.

    Raises:
        ValueError: there is no model, or network flags name another one; or
            it takes several channels other than 3, and `--channels` is missing.
    """
    from simclr_keras.distribute import workers
    from simclr_keras.models import freezing
    from simclr_keras.training import model_loading

    if not flags.checkpoint:
        return None
    # Only the chief needs access to the run directory.
    config = workers.from_chief(
        devices.strategy, lambda: _own_config(flags.model_dir)
    )
    if config is None:
        model, path = checkpoint.pretrained(flags, source), flags.checkpoint
    else:
        path = flags.model_dir
        model = model_loading.untrained_model(config, path)
    encoder = getattr(model, "encoder", model)
    head = getattr(model, "projection_head", None)
    # Those of a linear classifier are frozen.
    freezing.freeze_parts(encoder, head, "none")
    size = checkpoint.trained_size(model)
    resumed = config is not None
    start = Start(encoder, head, size, path, resumed, source.num_channels)
    if not resumed:
        _check_channels(flags, start)
    return start


def _check_channels(flags, start):
    """Refuses to train on RGB by accident if the encoder takes other bands."""
    if flags.channels is None and start.encoder_channels != 3:
        raise ValueError(
            f"--channels={start.encoder_channels} must be given to train on"
            " images like those of --checkpoint; another number converts its"
            f" first kernel. Received: --checkpoint={flags.checkpoint} alone"
        )


def _own_config(model_dir):
    """The configuration in a run's newest checkpoint; None without one."""
    from simclr_keras.training import checkpointing

    run = sk.training.RunDirectory(model_dir)
    newest = checkpointing.newest_intact(run.checkpoints)
    return newest and checkpointing.read_config(newest)


def with_image_size(flags, images, start):
    """Sets the image size: `--image_size`, else that of the checkpoint.

    Args:
        flags: the command's.
        images: `pretraining_data.PretrainingImages`.
        start: result of `load_start`.

    Raises:
        ValueError: the encoder cannot encode images of this size.
    """
    from simclr_keras import networks

    if start is None:
        return images
    size = input_data.image_size(flags, images.trained, start.image_size)
    networks.check_encoder(start.encoder, (size, size))
    return dataclasses.replace(images, size=size)


def make_networks(flags, size, start, channels=3):
    """Encoder and projection head of a pre-training.

    Args:
        flags: the command's.
        size: side of the images in pixels.
        start: result of `load_start`.
        channels: number of channels of the images. Default 3.

    Returns:
        Pair of a `keras.Model`, with the weights of `start`, and of a
        `ProjectionHead`. This one is not built: call `Start.copy_head_weights`
        once it is.
    """
    if start is None:
        encoder = build.encoder(flags, size, channels)
        return encoder, _projection_head(flags, {}, encoder, size)
    from simclr_keras import networks
    from simclr_keras.models import fitting
    from simclr_keras.models import trained_model

    if start.encoder_channels != channels:
        encoder = networks.with_input_channels(start.encoder, channels)
    else:
        image = fitting.build_images(start.encoder, (size, size))
        encoder = trained_model.copy_model(start.encoder, image)
    known = {"global_bn": getattr(encoder, "global_bn", True)}
    if isinstance(start.projection_head, sk.ProjectionHead):
        known = start.projection_head.get_config()
    return encoder, _projection_head(flags, known, encoder, size)


def _projection_head(flags, known, encoder, size):
    """The head that the flags describe; unset flags are as in `known`."""
    arguments = {}
    for flag, name in _ARGUMENTS.items():
        value = getattr(flags, flag)
        if value is None:
            value = known.get(name, _PROJECTION_HEAD.get(flag))
        arguments[name] = value
    arguments["width"] = arguments["width"] or None
    if not arguments["out_dim"]:
        from simclr_keras.models import fitting

        shape = getattr(encoder, "output_shape", None)
        if shape is None:  # a subclassed model
            image = fitting.build_images(encoder, (size, size))
            shape = encoder.compute_output_shape(tuple(image.shape))
        arguments["out_dim"] = shape[-1]
    return sk.ProjectionHead(**arguments)
