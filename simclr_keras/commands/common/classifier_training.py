"""Trains the classifier of linear evaluation and fine-tuning."""

import simclr_keras as sk
from simclr_keras.commands.common import build
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import stages
from simclr_keras.commands.common import tasks


def make_model(flags, pretrained, source, size, freeze):
    """Makes the compiled `Classifier` on a pre-trained model.

    Args:
        flags: the command's.
        pretrained: `keras.Model`, see `checkpoint.pretrained`.
        source: training images.
        size: side of the network's input in pixels.
        freeze: see `Classifier`.
    """
    task = tasks.of(flags)
    optimizer, decay_in_loss = build.optimizer(flags, source.num_examples)
    model = sk.Classifier(
        getattr(pretrained, "encoder", pretrained),
        source.num_classes,
        freeze=freeze,
        projection_head=getattr(pretrained, "projection_head", None),
        projection_layer=flags.ft_proj_selector,
        views=_view(flags, size, source),
        seed=flags.seed,
        image_size=size,
        activation=task.activation,
        class_weights=_class_weights(flags, source),
        **_target_scale(source),
        **decay_in_loss,
    )
    model.compile(
        optimizer,
        task.loss,
        metrics=task.metrics(source.num_classes),
        **build.compile_arguments(flags),
    )
    return model


def _class_weights(flags, source):
    """Weights of the classes in the loss, or None for equal ones."""
    if flags.class_weight == "none":
        return None
    labels = sk.data.read_labels(source)
    return sk.models.balanced_class_weights(labels, source.num_classes)


def _target_scale(source):
    """Arguments of `Classifier` for the scale of numbers; else none."""
    if source.task != "regression":
        return {}
    from simclr_keras.models import target_scale

    scale = target_scale.measure(source.labels, source.class_names)
    return {"target_mean": scale.mean, "target_std": scale.std}


def _view(flags, size, source):
    """Augmentation of the training: crops, flips, and colour if the flags ask.

    Photographs are cropped on the host, so their view does not crop again.
    """
    arguments = build.view_arguments(flags, size, source.num_channels)
    if flags.use_blur is None:
        arguments["blur_probability"] = 0.0
    return sk.View(crop=source.image_shape is not None, **arguments)


def train(flags, devices, directory, model, source):
    """Trains a model of `make_model`; returns the dict for `timing.json`.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`.
        directory: `RunDirectory`.
        model: the model.
        source: training images.
    """
    epochs = build.num_epochs(flags, source.num_examples)
    source = input_data.cached(flags, source, epochs)
    dataset = sk.data.make_dataset(
        source,
        batch_size=flags.train_batch_size,
        image_size=model.image_size,
        training=True,
        labelled=True,
        views=1,
        seed=flags.seed,
        data_service=flags.data_service,
    )
    dataset = stages.group_short_epochs(flags, source, dataset)
    return stages.fit(flags, devices, directory, model, source, dataset)


def outputs_of(flags, devices, model, held_out):
    """Outputs `[n, K]` of a trained model for held-out images, and labels."""
    # Not `evaluate`: the replicas may be unable to share its last batch evenly.
    return sk.evaluation.extract(
        lambda images: model(images, training=False),
        sk.data.evaluation_images(
            held_out, model.image_size, flags.eval_batch_size
        ),
        channels=held_out.num_channels,
        strategy=devices.strategy,
    )
