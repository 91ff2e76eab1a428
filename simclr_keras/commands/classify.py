"""Runs the stages of `simclr-linear-eval` and `simclr-finetune`."""

import time

import numpy as np

from simclr_keras import compat
from simclr_keras import data
from simclr_keras import evaluation
from simclr_keras.commands import accuracy
from simclr_keras.commands import build
from simclr_keras.commands import input_data
from simclr_keras.commands import schedule
from simclr_keras.commands import stages


def run(settings, freeze):
    """Trains a classifier, or evaluates the features of a frozen encoder.

    Args:
        settings: the command's.
        freeze: of `Classifier`; None for features that are computed once.

    Returns:
        The dict written to `results.json`.
    """
    runtime = stages.set_up(settings)
    source, held_out = _open(settings)
    if freeze is not None:
        schedule.check(settings, runtime, source.num_examples)
    pretrained = build.pretrained(settings, source)
    size = input_data.image_size(
        settings, source, build.trained_size(pretrained)
    )
    with stages.run_directory(settings, runtime) as (directory, finished):
        if finished is not None:
            return finished
        if runtime.devices.chief:
            directory.write_class_names(source.class_names)
        started = time.perf_counter()
        if freeze is None:
            figures = {}
            measured = accuracy.of_features(
                settings, pretrained, source, held_out, size
            )
        else:
            with runtime.scope():
                model = build.classifier(
                    settings, pretrained, source, size, freeze
                )
            figures = _train(settings, runtime, directory, model, source)
            measured = _evaluate(settings, model, held_out)
        results = {
            "dataset": source.name,
            "labelled_images": source.num_examples,
            "test_images": held_out.num_examples,
            "image_size": size,
            **measured,
        }
        figures["seconds"] = round(time.perf_counter() - started, 1)
        results = stages.finish(runtime, directory, results, figures)
        stages.announce(runtime, f"\nRun directory: {directory.path}")
        return results


def _open(settings):
    """The images that are trained and evaluated on, with labels."""
    source = _labelled(input_data.open_source(settings, settings.train_split))
    held_out = _labelled(input_data.open_source(settings, settings.eval_split))
    input_data.warn_of_overlap(source, held_out)
    if settings.label_fraction != 1:
        source = data.label_subset(
            source, settings.label_fraction, seed=settings.seed
        )
    batch = min(settings.train_batch_size, source.num_examples)
    settings.train_batch_size = batch
    return source, held_out


def _labelled(source):
    if source.num_classes is None:
        raise ValueError(
            "--dataset must have labels here; a folder needs a sub-folder for"
            f" each class. Received: {source.summary()}"
        )
    return source


def _train(settings, runtime, directory, model, source):
    passes = schedule.num_data_epochs(settings, source.num_examples)
    source = input_data.cached(settings, source, passes)
    dataset = data.make_dataset(
        source,
        batch_size=settings.train_batch_size,
        image_size=model.image_size,
        training=True,
        labelled=True,
        views=1,
        seed=settings.seed,
    )
    dataset = schedule.group_short_epochs(settings, source, dataset)
    return schedule.fit(settings, runtime, directory, model, source, dataset)


def _evaluate(settings, model, held_out):
    """Accuracy and loss on the held-out images."""
    # Not `evaluate`: its last batch need not divide by the replicas.
    probabilities, labels = evaluation.extract(
        lambda images: model(images, training=False),
        input_data.evaluation_data(
            held_out, model.image_size, settings.eval_batch_size
        ),
    )
    right = probabilities[np.arange(len(labels)), labels]
    results = {
        "steps": int(compat.as_numpy(model.optimizer.iterations)),
        "accuracy": evaluation.top_k_accuracy(probabilities, labels, 1),
        "loss": float(-np.log(np.maximum(right, 1e-7)).mean()),
    }
    if model.num_classes > 5:
        top5 = evaluation.top_k_accuracy(probabilities, labels, 5)
        results["top5"] = top5
    return {name: round(value, 6) for name, value in results.items()}
