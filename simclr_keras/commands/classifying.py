"""The stages of `simclr-linear-eval` and `simclr-finetune`."""

import time

import keras
import numpy as np

from simclr_keras import compat
from simclr_keras import data
from simclr_keras import evaluation
from simclr_keras import models
from simclr_keras import training
from simclr_keras.commands import build
from simclr_keras.commands import hardware
from simclr_keras.commands import input_data
from simclr_keras.commands import loading
from simclr_keras.commands import overlap
from simclr_keras.commands import runs
from simclr_keras.commands import timing

# In a classifier's run directory, one name a line; the export takes it over.
CLASS_NAMES = "class_names.txt"


def linear_eval(settings):
    """Linear evaluation; returns the dict written to `results.json`."""
    if settings.protocol == "gradient":
        return _run(settings, freeze="all")
    return _run(settings, freeze=None)


def finetune(settings):
    """Fine-tuning; returns the dict written to `results.json`."""
    block = settings.fine_tune_after_block
    return _run(settings, freeze="none" if block < 0 else block)


@runs.releasing
def _run(settings, freeze):
    """Trains a classifier, or with `freeze=None` evaluates cached features."""
    place = hardware.set_up(settings)
    source = _labelled(input_data.open_source(settings, settings.train_split))
    held_out = _labelled(input_data.open_source(settings, settings.eval_split))
    overlap.say(source, held_out)
    if settings.label_fraction != 1:
        source = data.label_subset(
            source, settings.label_fraction, seed=settings.seed
        )
    batch = min(settings.train_batch_size, source.num_examples)
    settings.train_batch_size = batch
    if freeze is not None:
        place.check_batch(batch)
        build.check_steps(settings, source.num_examples)
    pretrained = loading.pretrained(settings, source)
    size = loading.trained_size(pretrained)
    size = input_data.image_size(settings, source, size)
    run_directory, finished = runs.run_directory(settings, place)
    if finished is not None:
        return finished
    if place.devices.chief:
        names = "".join(f"{name}\n" for name in source.class_names)
        training.write_whole(run_directory.path / CLASS_NAMES, names)
    started = time.perf_counter()
    figures = {}
    results = {
        "dataset": source.name,
        "labelled_images": source.num_examples,
        "test_images": held_out.num_examples,
        "image_size": size,
    }
    if freeze is None:
        results.update(
            _on_features(settings, pretrained, source, held_out, size)
        )
    else:
        with place.scope():
            model = _classifier(settings, pretrained, source, size, freeze)
        trained, figures = _train(
            settings, place, run_directory, model, source, held_out
        )
        results.update(trained)
    figures["seconds"] = round(time.perf_counter() - started, 1)
    results = runs.finish(place, run_directory, results, figures)
    runs.announce(place, f"\nRun directory: {run_directory.path}")
    return results


def _labelled(source):
    if source.num_classes is None:
        raise ValueError(
            "--dataset must have labels here; a folder needs a sub-folder for"
            f" each class. Received: {source.summary()}"
        )
    return source


def _classifier(settings, pretrained, source, size, freeze):
    num_examples = source.num_examples
    total = build.total_steps(settings, num_examples)
    optimizer, l2, l2_scope = build.optimizer(settings, num_examples, total)
    model = models.Classifier(
        getattr(pretrained, "encoder", pretrained),
        source.num_classes,
        freeze=freeze,
        projection_head=getattr(pretrained, "projection_head", None),
        projection_layer=settings.ft_proj_selector,
        views=build.class_view(settings, size, source),
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
        **hardware.compile_arguments(settings),
    )
    return model


def _train(settings, place, run_directory, model, source, held_out):
    size = model.image_size
    total = build.total_steps(settings, source.num_examples)
    passes = build.passes(settings, source.num_examples)
    source = input_data.cached(settings, source, passes)
    dataset = data.make_dataset(
        source,
        batch_size=settings.train_batch_size,
        image_size=size,
        training=True,
        labelled=True,
        views=1,
        seed=settings.seed,
    )
    print(runs.start_line(settings, place, source, total))
    dataset, epochs, grouped = build.in_epochs(dataset, total)
    timer = timing.Timing(settings)
    model.fit(
        dataset,
        epochs=epochs,
        verbose=settings.verbose if place.devices.chief else 0,
        callbacks=[
            timing.StopAtStep(total, dataset.steps),
            timer,
            *runs.run_callbacks(settings, run_directory, grouped),
        ],
    )
    figures = timer.figures()
    # Not `evaluate`: its last batch need not divide by the replicas.
    probabilities, labels = evaluation.extract(
        lambda images: model(images, training=False),
        input_data.evaluation_data(held_out, size, settings.eval_batch_size),
    )
    own = probabilities[np.arange(len(labels)), labels]
    results = {
        "steps": int(compat.as_numpy(model.optimizer.iterations)),
        "accuracy": evaluation.top_k_accuracy(probabilities, labels, 1),
        "loss": float(-np.log(np.maximum(own, 1e-7)).mean()),
    }
    if source.num_classes > 5:
        top5 = evaluation.top_k_accuracy(probabilities, labels, 5)
        results["top5"] = top5
    results = {name: round(value, 6) for name, value in results.items()}
    return results, figures


def _on_features(settings, pretrained, source, held_out, size):
    """kNN, L-BFGS or gradient descent on features computed once."""
    print(f"Evaluating features of {source.summary()}")
    encoder = _feature_model(settings, pretrained)
    batch = settings.eval_batch_size
    train_h, train_y = evaluation.extract(
        encoder, input_data.evaluation_data(source, size, batch)
    )
    test_h, test_y = evaluation.extract(
        encoder, input_data.evaluation_data(held_out, size, batch)
    )
    features = (train_h, train_y, test_h, test_y)
    if settings.protocol == "knn":
        k = min(settings.knn_k, len(train_h))
        accuracy = evaluation.knn_accuracy(
            *features, k=k, temperature=settings.knn_temperature
        )
        return {"accuracy": round(float(accuracy), 6), "k": k}
    if settings.protocol == "lbfgs":
        best = evaluation.logistic_regression(*features, seed=settings.seed)
        return {"accuracy": round(float(best.accuracy), 6), "l2": best.l2}
    best = evaluation.linear_accuracy(
        *features,
        epochs=settings.train_epochs,
        batch_size=settings.train_batch_size,
        seed=settings.seed,
    )
    return {
        "accuracy": round(best.accuracy, 6),
        "top5": round(best.top5_accuracy, 6),
    }


def _feature_model(settings, pretrained):
    """Model or function from images to the features that are evaluated."""
    encoder = getattr(pretrained, "encoder", pretrained)
    selector = settings.ft_proj_selector
    if selector == 0:
        return encoder
    head = getattr(pretrained, "projection_head", None)
    if head is None:
        raise ValueError(
            "--ft_proj_selector needs a checkpoint with a projection head."
            f" Received: --ft_proj_selector={selector}"
        )
    head.layer_index(selector)

    def features(images):
        h = pretrained.embed(images)
        return head.layer_output(h, selector, training=False)

    return features
