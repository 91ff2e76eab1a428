"""Takes the number of channels of images from a checkpoint, and states it."""

import simclr_keras as sk
from simclr_keras.commands.common import build


def load_checkpoint(settings):
    """Loads the model of `--checkpoint`, whose channels `--channels` becomes.

    Call it before the images are opened.

    Args:
        settings: the command's; `channels` is set if it is None and the images
            of the checkpoint were not converted to RGB.

    Returns:
        The model for `build.pretrained`; None for a file of weights, whose
        network the flags describe.

    Raises:
        ValueError: there is no such model, or it takes other channels than
            `--channels`.
    """
    from simclr_keras import networks

    if sk.serving.is_weights_file(settings.checkpoint):
        return None
    model = build.as_trained(settings)
    trained = networks.image_channels(model)
    if settings.channels is None:
        stated = _stated(settings.checkpoint)
        if stated or trained != 3:
            settings.channels = int(stated or trained)
    elif settings.channels != trained:
        raise ValueError(
            f"--channels must be left out, or be {trained}, as the images of"
            " --checkpoint have. Received:"
            f" --channels={settings.channels},"
            f" --checkpoint={settings.checkpoint}"
        )
    return model


def _stated(checkpoint):
    """`--channels` of the run of a checkpoint, or of the run it began with."""
    seen = set()
    while checkpoint and checkpoint not in seen:
        seen.add(checkpoint)
        run = sk.training.find_run(checkpoint)
        flags = run.settings() if run else {}
        if flags.get("channels"):
            return flags["channels"]
        checkpoint = flags.get("checkpoint")
    return None


def describe(source, views):
    """Texts for the start line: channels, and what views leave out for them.

    Args:
        source: training images.
        views: `TwoViews` or `View` of the model, or None.
    """
    from simclr_keras.images import channels

    texts = []
    if source.channels is not None:
        texts.append(f"images of {channels.counted(source.channels)}")
    left_out = getattr(views, "left_out", ())
    if left_out:
        *others, last = left_out
        names = f"{', '.join(others)} and {last}" if others else last
        texts.append(f"views without {names}, which need 3 channels")
    return texts
