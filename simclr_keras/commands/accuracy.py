"""Measures how well features tell classes apart, while and after training."""

from simclr_keras import compat
from simclr_keras import data
from simclr_keras import evaluation
from simclr_keras.commands import input_data
from simclr_keras.commands import schedule


def while_pretraining(settings, runtime, source, probe, held_out, size, passes):
    """What `fit` measures on held-out images, where that is asked for.

    Args:
        settings: the command's.
        runtime: `Runtime`.
        source: what is trained on.
        probe: what the online probe learns from, or None.
        held_out: what is measured on, or None.
        size: side of the images in pixels.
        passes: epochs of the data in one epoch of `fit`.

    Returns:
        List of the kNN callback, and dict of the arguments of validation;
        empty where nothing is asked for or labels are missing.
    """
    every = settings.eval_every_epochs
    if not every or held_out is None:
        return [], {}
    every = schedule.data_epochs_to_fit_epochs(every, passes)
    labelled = _both_labelled(source, held_out)
    if probe is not None and not (probe is source and labelled):
        # Its step wants labels that these images do not have.
        return _knn(settings, source, held_out, size, every), {}
    validation = input_data.evaluation_data(
        held_out,
        size,
        input_data.part_of_batch(
            settings, runtime, held_out, "the validation batch"
        ),
        labelled=probe is not None,
        drop_remainder=True,
    )
    arguments = {"validation_data": validation, "validation_freq": every}
    return _knn(settings, source, held_out, size, every), arguments


def _both_labelled(source, held_out):
    return held_out is not None and source.has_labels and held_out.has_labels


def _knn(settings, source, held_out, size, every):
    """List of the kNN callback, empty where labels are missing."""
    if not _both_labelled(source, held_out):
        return []
    bank, k = _neighbours(settings, source)
    knn = evaluation.KNNCallback(
        input_data.evaluation_data(bank, size, settings.eval_batch_size),
        input_data.evaluation_data(held_out, size, settings.eval_batch_size),
        every=every,
        k=k,
    )
    return [knn]


def _neighbours(settings, source):
    """Training images that vote, and how many of them at a time."""
    number = min(settings.knn_images, source.num_examples)
    bank = data.keep_some(source, number, seed=settings.seed)
    return bank, min(settings.knn_k, number)


def after_pretraining(settings, source, held_out, size, model, callbacks):
    """The dict for `results.json` of a pre-training.

    Args:
        settings: the command's.
        source: what was trained on.
        held_out: what is measured on, or None.
        size: side of the images in pixels.
        model: the trained `SimCLR`.
        callbacks: those of `while_pretraining`, whose measurement at the last
            step counts.
    """
    results = {
        "dataset": source.name,
        "train_images": source.num_examples,
        "image_size": size,
        "steps": int(compat.as_numpy(model.optimizer.iterations)),
        "parameters": int(model.encoder.count_params()),
    }
    if not _both_labelled(source, held_out):
        return results
    measured = [getattr(each, "measured", None) for each in callbacks]
    known = dict(filter(None, measured)).get(results["steps"])
    if known is None:
        known = _knn_accuracy(settings, source, held_out, size, model)
    return {**results, "knn_accuracy": round(float(known), 6)}


def _knn_accuracy(settings, source, held_out, size, model):
    bank, k = _neighbours(settings, source)
    features = _features(settings, model.encoder, bank, held_out, size)
    return evaluation.knn_accuracy(*features, k)


def _features(settings, encoder, source, held_out, size):
    """Features and labels of both sources, by one traced function."""
    extractor = evaluation.Extractor(encoder)
    batch = settings.eval_batch_size
    return (
        *extractor(input_data.evaluation_data(source, size, batch)),
        *extractor(input_data.evaluation_data(held_out, size, batch)),
    )


def of_features(settings, pretrained, source, held_out, size):
    """kNN, L-BFGS or gradient descent on features computed once."""
    print(f"Evaluating features of {source.summary()}")
    encoder = _feature_model(settings, pretrained)
    features = _features(settings, encoder, source, held_out, size)
    if settings.protocol == "knn":
        k = min(settings.knn_k, len(features[0]))
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
