"""Builds the networks, views and models that the flags name."""

import types

import keras

from simclr_keras import compat
from simclr_keras import contrastive
from simclr_keras import models
from simclr_keras import networks
from simclr_keras import serving
from simclr_keras import views
from simclr_keras.commands import input_data
from simclr_keras.commands import schedule
from simclr_keras.commands import shared_flags
from simclr_keras.commands import stages
from simclr_keras.images.checks import SMALL_IMAGE
from simclr_keras.models import precision


def encoder(settings, size):
    """The encoder of `--encoder`, `--resnet_depth` and so on, untrained."""
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


def two_views(settings, size):
    """The pair of views of pre-training."""
    arguments = view_arguments(settings, size)
    return views.TwoViews(seed=settings.seed, **arguments)


def class_view(settings, size, source):
    """Augmentation of a classifier's training: crops, flips, colour if asked.

    Photographs are cropped on the host; the device only flips them then.
    """
    arguments = view_arguments(settings, size)
    if settings.use_blur is None:
        arguments["blur_probability"] = 0.0
    return views.View(crop=not input_data.cropped_on_host(source), **arguments)


def simclr(settings, source, probe, size, two_views):
    """The `SimCLR` model of the flags, compiled.

    Args:
        settings: the command's.
        source: what is trained on.
        probe: what the online probe learns from, or None.
        size: side of the images in pixels.
        two_views: `TwoViews`.
    """
    optimizer, l2, l2_scope = schedule.optimizer(settings, source.num_examples)
    model = models.SimCLR(
        encoder(settings, size),
        networks.ProjectionHead(
            settings.proj_head_mode,
            num_layers=settings.num_proj_layers,
            out_dim=settings.proj_out_dim,
            width=settings.proj_hidden_dim or None,
            global_bn=settings.global_bn,
        ),
        two_views,
        num_classes=None if probe is None else probe.num_classes,
        l2=l2,
        l2_scope=l2_scope,
        micro_batch_size=settings.micro_batch_size or None,
    )
    loss = contrastive.make_loss(
        settings.loss,
        temperature=settings.temperature,
        normalize=settings.hidden_norm,
        margin=settings.margin,
        semi_hard=settings.semi_hard,
    )
    model.compile(optimizer, loss, **stages.compile_arguments(settings))
    return model


def classifier(settings, pretrained, source, size, freeze):
    """The `Classifier` of the flags on a pre-trained model, compiled."""
    optimizer, l2, l2_scope = schedule.optimizer(settings, source.num_examples)
    model = models.Classifier(
        getattr(pretrained, "encoder", pretrained),
        source.num_classes,
        freeze=freeze,
        projection_head=getattr(pretrained, "projection_head", None),
        projection_layer=settings.ft_proj_selector,
        views=class_view(settings, size, source),
        seed=settings.seed,
        image_size=size,
        l2=l2,
        l2_scope=l2_scope,
    )
    metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if source.num_classes > 5:
        metrics.append(
            keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5")
        )
    model.compile(
        optimizer,
        "sparse_categorical_crossentropy",
        metrics=metrics,
        **stages.compile_arguments(settings),
    )
    return model


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
    values = {n: getattr(settings, n, None) for n in shared_flags.NETWORK}
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
    network = types.SimpleNamespace(**{**shared_flags.NETWORK, **given})
    return encoder(network, input_data.image_size(settings, source))
