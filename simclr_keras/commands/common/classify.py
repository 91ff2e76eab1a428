"""Defines and runs what `simclr-linear-eval` and `simclr-finetune` share."""

import time

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import build
from simclr_keras.commands.common import channel_settings
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common import stages
from simclr_keras.commands.common.flag_kinds import Group

FIRST = (
    "checkpoint",
    "dataset",
    "model_dir",
    "train_split",
    "eval_split",
    "label_fraction",
    "train_batch_size",
    "train_epochs",
    "learning_rate",
)


def define_flags(values, *, epochs, rate, baseline):
    """Defines the flags that both commands that train a classifier have.

    Args:
        values: `FlagValues`.
        epochs: default of `--train_epochs`.
        rate: default of `--learning_rate`.
        baseline: name of the baseline that `--from_scratch` gives.
    """
    image_flags.define_data(values)
    image_flags.define_splits(values)
    image_flags.define_cache(values)
    Group(values, "data").float(
        "label_fraction",
        1.0,
        "Share of the training images whose labels are used, class-balanced"
        " and chosen by --seed: 0.01 is 1 %.",
        least=0.0,
        most=1.0,
    )
    Group(values, "training").choice(
        "class_weight",
        "none",
        choices.CLASS_WEIGHTS,
        "Weights of the classes in the loss. balanced: in inverse proportion to"
        " their images, so that every class counts as much.",
    )
    image_flags.define_views(values, color_strength=0.0)
    shared_flags.define_checkpoint(values)
    network = Group(values, "network")
    network.boolean(
        "from_scratch",
        False,
        "Forget the checkpoint's weights and keep its architecture: the"
        f" {baseline} baseline.",
    )
    network.integer(
        "ft_proj_selector",
        0,
        "Output of the projection head that is classified: 0 is h, 1 its first"
        " layer's (SimCLRv2), -1 is z.",
    )
    shared_flags.define_training(
        values,
        batch=256,
        epochs=epochs,
        rate=rate,
        optimizer="momentum",
        decay=0.0,
        warmup=0.0,
    )
    values.set_default("nesterov", True)
    shared_flags.define_run(values)
    shared_flags.define_replicas(values)
    shared_flags.define_checkpoints(values)


def run(settings, freeze, measure_features=None, predict=None):
    """Trains a classifier, or measures the features of a frozen encoder.

    Args:
        settings: the command's.
        freeze: see `Classifier`.
        measure_features: called instead of training; function of the settings
            and of features and labels, `(train_h, train_y, test_h, test_y)`,
            that returns a dict of results and the predictions `[m]`. Defaults
            to None.
        predict: a key of `choices.TRANSFORMATIONS`, with `measure_features`
            only: the transformation of an image is its label. Defaults to None:
            the labels of the data set.

    Returns:
        The dict written to `results.json`.
    """
    cli.require(settings, "model_dir", "eval_split", "checkpoint")
    devices = stages.set_up(settings)
    pretrained = channel_settings.load_checkpoint(settings)
    source, held_out = _open(settings, labelled=not predict)
    if measure_features is None:
        stages.check(settings, devices, source.num_examples)
    pretrained = build.pretrained(settings, source, pretrained)
    size = input_data.image_size(
        settings, source, build.trained_size(pretrained)
    )
    # A measurement of features has no checkpoint to resume from.
    number = source.num_examples if measure_features is None else None
    with stages.run_directory(settings, devices, number) as taken:
        directory, finished = taken
        if finished is not None:
            return finished
        names = choices.TRANSFORMATIONS.get(predict, source.class_names)
        if devices.chief:
            directory.write_class_names(names)
        started = time.perf_counter()
        if measure_features is not None:
            if devices.chief:
                directory.record_start()  # in a training, `fit` does
            figures = {}
            features = _features(
                settings, pretrained, source, held_out, size, predict
            )
            measured, predictions = measure_features(settings, *features)
            labels = features[-1]
        else:
            with devices.strategy.scope():
                model = _model(settings, pretrained, source, size, freeze)
            figures = _train(settings, devices, directory, model, source)
            measured, predictions, labels = _evaluate(settings, model, held_out)
        results = {
            "dataset": source.name,
            "labelled_images": source.num_examples,
            "test_images": held_out.num_examples,
            "image_size": size,
            **({"predicted": predict} if predict else {}),
            **measured,
            "mean_per_class_accuracy": round(
                sk.evaluation.mean_per_class_accuracy(predictions, labels), 6
            ),
        }
        if devices.chief:
            _write_classes(directory, names, labels, predictions)
        figures["seconds"] = round(time.perf_counter() - started, 1)
        results = stages.finish(devices, directory, results, figures)
        stages.announce(devices, f"\nRun directory: {directory.path}")
        return results


def _open(settings, labelled):
    """Opens the training and evaluation images, with labels if needed."""
    source = input_data.open_source(settings, settings.train_split)
    held_out = input_data.open_source(settings, settings.eval_split)
    if labelled:
        input_data.check_classes(source, held_out)
    sk.data.warn_of_overlap(source, held_out)
    if settings.label_fraction != 1:
        source = sk.data.label_subset(
            source, settings.label_fraction, seed=settings.seed
        )
    batch = min(settings.train_batch_size, source.num_examples)
    settings.train_batch_size = batch
    return source, held_out


def _write_classes(directory, names, labels, predictions):
    from simclr_keras.report import classes

    classes.write(directory, names, labels, predictions)


def _features(settings, pretrained, source, held_out, size, predict):
    """Features that `--ft_proj_selector` names, and labels, of both sources."""
    print(f"Evaluating features of {source.summary()}")
    if predict:
        classes = ", ".join(choices.TRANSFORMATIONS[predict])
        print(f"Labels are what was done to an image: {classes}")
    encoder = sk.evaluation.projection_features(
        pretrained, settings.ft_proj_selector, "--ft_proj_selector"
    )
    train, test = (
        sk.evaluation.transformed_images(
            each,
            predict,
            size,
            settings.eval_batch_size,
            seed=settings.seed,
            held_out=each is held_out,
        )
        if predict
        else sk.data.evaluation_images(each, size, settings.eval_batch_size)
        for each in (source, held_out)
    )
    return sk.evaluation.extract_both(
        encoder, train, test, channels=source.num_channels
    )


def _model(settings, pretrained, source, size, freeze):
    """The compiled `Classifier` on a pre-trained model."""
    import keras

    optimizer, decay_in_loss = build.optimizer(settings, source.num_examples)
    model = sk.Classifier(
        getattr(pretrained, "encoder", pretrained),
        source.num_classes,
        freeze=freeze,
        projection_head=getattr(pretrained, "projection_head", None),
        projection_layer=settings.ft_proj_selector,
        views=_view(settings, size, source),
        seed=settings.seed,
        image_size=size,
        class_weights=_class_weights(settings, source),
        **decay_in_loss,
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
        **build.compile_arguments(settings),
    )
    return model


def _class_weights(settings, source):
    """Weights of the classes in the loss, or None for equal ones."""
    if settings.class_weight == "none":
        return None
    labels = sk.data.read_labels(source)
    return sk.models.balanced_class_weights(labels, source.num_classes)


def _view(settings, size, source):
    """Augmentation of the training: crops, flips, and colour if the flags ask.

    Photographs are cropped on the host, so their view does not crop again.
    """
    arguments = build.view_arguments(settings, size, source.num_channels)
    if settings.use_blur is None:
        arguments["blur_probability"] = 0.0
    return sk.View(crop=source.image_shape is not None, **arguments)


def _train(settings, devices, directory, model, source):
    epochs = build.num_epochs(settings, source.num_examples)
    source = input_data.cached(settings, source, epochs)
    dataset = sk.data.make_dataset(
        source,
        batch_size=settings.train_batch_size,
        image_size=model.image_size,
        training=True,
        labelled=True,
        views=1,
        seed=settings.seed,
    )
    dataset = stages.group_short_epochs(settings, source, dataset)
    return stages.fit(settings, devices, directory, model, source, dataset)


def _evaluate(settings, model, held_out):
    """Results on the held-out images, their predictions and labels."""
    import numpy as np

    # Not `evaluate`: the replicas may be unable to share its last batch evenly.
    probabilities, labels = sk.evaluation.extract(
        lambda images: model(images, training=False),
        sk.data.evaluation_images(
            held_out, model.image_size, settings.eval_batch_size
        ),
        channels=held_out.num_channels,
    )
    right = probabilities[np.arange(len(labels)), labels]
    results = {
        "steps": stages.steps_done(model),
        "accuracy": sk.evaluation.top_k_accuracy(probabilities, labels, 1),
        "loss": float(-np.log(np.maximum(right, 1e-7)).mean()),
    }
    if model.num_classes > 5:
        top5 = sk.evaluation.top_k_accuracy(probabilities, labels, 5)
        results["top5"] = top5
    rounded = {name: round(value, 6) for name, value in results.items()}
    return rounded, probabilities.argmax(axis=1), labels
